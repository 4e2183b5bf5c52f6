"""Tasks: the board, claims, the moves of a task, checkpoints, comments and outputs."""
