"""Sessions: live runs and staying workers, their history, steering and flows."""
