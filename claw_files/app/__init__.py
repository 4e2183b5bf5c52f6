"""Wiring: finds the workspace, picks the real implementations, and determines the caller."""
