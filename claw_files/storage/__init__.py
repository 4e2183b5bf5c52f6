"""Workspace files: where each lies, how it is loaded, locked and saved."""
