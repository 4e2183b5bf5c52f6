"""Compartments: where the files of an isolated agent lie, and how tasks move in."""
