"""clawfiles: several agents work together through a folder of Markdown files, and no task gets lost."""

__version__ = "0.1.0"
