"""The continuous heartbeat: watches the folder, and ticks when a file was saved or a time is due."""
