"""Compartments: the location of an isolated agent's files, and how tasks move in."""
