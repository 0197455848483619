"""The MCP server: what the command line says, for agents. Rule: it has no logic of its own, and no other surface."""

from interlock.mcp.server import checking_server, mcp_server, serve_stdio

__all__ = ["checking_server", "mcp_server", "serve_stdio"]
