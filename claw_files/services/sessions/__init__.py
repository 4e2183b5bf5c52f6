"""Sessions: live runs and session workers, their history, steering and flows."""
