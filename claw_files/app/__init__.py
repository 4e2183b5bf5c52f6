"""Wiring: finds the workspace, picks the real implementations, and knows who acts."""
