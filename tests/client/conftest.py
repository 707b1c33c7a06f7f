from __future__ import annotations

from tests.serving import client, filled, llm, module_llm, module_server, serve, server

__all__ = ["client", "filled", "llm", "module_llm", "module_server", "serve", "server"]
