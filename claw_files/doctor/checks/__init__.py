"""The checks, one module per subject. Each check is a function from the survey to findings."""
