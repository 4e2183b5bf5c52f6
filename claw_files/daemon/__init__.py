"""The heartbeat, awake: watches the folder, and ticks when a file was saved or a time has come."""
