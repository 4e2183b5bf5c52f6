"""The MCP server: calls as tools, the board and the agent's own files as resources, over stdio or HTTP.

The protocol is the official SDK's; only `server`, `stdio` and `http` know of it, and nothing else loads them.
"""
