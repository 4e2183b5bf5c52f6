"""Evidence: the facts in files, messages and runs about one task or agent."""
