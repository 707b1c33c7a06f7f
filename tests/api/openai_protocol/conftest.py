from __future__ import annotations

from tests.serving import filled, llm, module_llm, module_server, serve, server

__all__ = ["filled", "llm", "module_llm", "module_server", "serve", "server"]
