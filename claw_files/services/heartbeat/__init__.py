"""The heartbeat: load a snapshot, plan, execute the actions, launch runs."""
