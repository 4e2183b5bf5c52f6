"""Other programs: OpenClaw's gateway, ACP agents, and notification services."""
