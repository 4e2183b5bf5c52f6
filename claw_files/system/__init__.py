"""The doors outside: files, clock, processes. Nothing else in clawfiles opens, waits or starts."""
