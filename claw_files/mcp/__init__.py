"""The door for models: calls as tools, the board and what is one's own as resources, over stdio or HTTP.

The protocol is the official SDK's; only `server`, `stdio` and `http` know of it, and nothing else loads them.
"""
