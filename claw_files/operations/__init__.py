"""Operations: everything that can be asked for through the shell, HTTP, MCP or the socket of a sandbox.

`table` has a row for each, from which the interfaces are made; `dispatch.perform` is the one way to perform one by its
name. A new operation is a function and a row, and nothing else.
"""
