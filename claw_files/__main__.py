"""`python -m claw_files`."""

from claw_files.cli import main

main()
