"""What is looked at, a module a subject. Each check is a function from the survey to findings."""
