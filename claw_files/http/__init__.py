"""The board over HTTP, for this machine: the same services, rules and errors as the shell.

Every request is checked before anything is opened (`request_guard`), authenticated by a token (`authentication`), and
is one row of one table (`routes`), which the description at /openapi.json and `docs/reference/http.md` are made from.
"""
