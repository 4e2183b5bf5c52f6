"""Administration: init, journal, tokens, archiving, probes and the daemon's state."""
