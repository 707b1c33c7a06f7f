"""The server below an application: uvicorn, with bounded requests and an end in good order."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

from bothways.api.http.ending import GRACEFUL_S, Ending
from bothways.api.http.protocol import BoundedProtocol


class Server(uvicorn.Server):
    """uvicorn's server; `ending` learns first that it ends."""

    def __init__(self, config: uvicorn.Config, ending: Ending | None = None) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let what runs come to its end, and cancel what has not by then."""
        if self._ending is not None:
            self._ending.begin()
        await super().shutdown(sockets)


def make_server(app: Any, *, ending: Ending | None = None, **options: Any) -> Server:  # noqa: ANN401 – as uvicorn has it
    """Return a server for an ASGI application; `options` are those of `uvicorn.Config`."""
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",  # no route speaks it
        access_log=False,
        server_header=False,
        # Wrong keys are counted by address: the connection's, not what a caller writes into X-Forwarded-For.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_S,
        **options,
    )
    return Server(config, ending)
