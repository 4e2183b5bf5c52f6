"""Workspace files: the path of each, and how it is loaded, locked and saved."""
