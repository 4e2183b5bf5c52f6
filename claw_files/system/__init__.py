"""Interfaces to the outside: files, clock, processes. Only this room opens files, waits or starts processes."""
