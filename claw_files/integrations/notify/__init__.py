"""Notifications to people outside of the workspace, by apprise, which is loaded only for sending."""
