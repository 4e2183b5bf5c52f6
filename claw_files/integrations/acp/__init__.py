"""ACP: agent programs that speak the Agent Client Protocol, driven by a small supervised client.

`docs/decisions/0020-an-acp-client-in-each-run.md` says why, `docs/how-to/acp.md` how it is used. What an agent may do
is decided in `policy.acp_permissions`; the protocol is the official library's, for `conversation`, `agent_requests` and
`message_stream`.
"""
