"""Delegation: which agent gets a task, the contract of a spawn, and cached results."""
