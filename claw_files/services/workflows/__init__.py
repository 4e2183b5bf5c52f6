"""Workflows: the files that describe them, and the runs that the heartbeat carries out."""
