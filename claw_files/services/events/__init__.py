"""Events: their files, and what they start."""
