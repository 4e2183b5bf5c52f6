"""The door to people outside of the workspace: apprise, loaded only where something is sent through it."""
