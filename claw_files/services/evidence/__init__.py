"""Evidence: what files, messages and runs show about one task or agent."""
