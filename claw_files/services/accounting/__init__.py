"""Accounting: usage of runs, spending, budgets and statistics."""
