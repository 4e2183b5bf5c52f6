"""The doctor: what is wrong or odd in a workspace, and mending what has exactly one meaning.

The check shares no code with what writes: it walks the folders with a reader of its own and reads with a parser of its
own, so that a fault in one is not a blind spot of the other. Only `repair` uses the services, for the mending itself.
"""
