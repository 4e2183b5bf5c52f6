"""Messages between agents: mailboxes, prompts from templates, and news about tasks."""
