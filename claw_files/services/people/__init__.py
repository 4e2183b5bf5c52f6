"""People: notifications, channels, the outbox, and approvals by check box."""
