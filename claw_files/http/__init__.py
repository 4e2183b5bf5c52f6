"""The board over HTTP, for this machine: the same services, rules and errors as the shell.

Every request is looked at before anything is opened (`guard`), knows who asks by a token (`callers`), and is one row of
one table (`routes`), which the description at /openapi.json and `docs/reference/http.md` are made from.
"""
