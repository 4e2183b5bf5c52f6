"""Where events are fetched from: commands, databases and files, read by a poll in a process of its own."""
