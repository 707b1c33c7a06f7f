"""`bothways serve`: the REST API and the console."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from typing import Annotated

import typer

from bothways.api.app import create_app
from bothways.api.server import make_server
from bothways.cli.output import err
from bothways.cli.running import noted
from bothways.core.errors import ListenError, UsageError
from bothways.core.settings import Settings, load_settings


def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on; unset: BOTHWAYS_HOST")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="port; unset: BOTHWAYS_PORT")] = None,
    retriever: Annotated[str | None, typer.Option(help="embedding model; unset: BOTHWAYS_EMBEDDING_MODEL")] = None,
    rewrite_model: Annotated[str | None, typer.Option(help="language model; unset: BOTHWAYS_LLM_MODEL")] = None,
    leg_k: Annotated[
        int | None, typer.Option(min=1, max=1000, help="hits that each leg brings; unset: BOTHWAYS_LEG_K")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, max=1000, hidden=True, help="the former name of --leg-k")] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="allow other machines to reach a server that has no API keys")
    ] = False,
) -> None:
    """Serve the REST API and the console until Ctrl-C."""
    chosen = load_settings(
        host=host,
        port=port,
        embedding_model=retriever,
        llm_model=rewrite_model,
        leg_k=leg_k or top_k,
        without_keys=without_keys or None,
    )
    with listen(chosen.host, chosen.port) as listening:
        _check_keys(chosen, listening)
        app = create_app(chosen)
        server = make_server(app, ending=app.state.ending, log_level=chosen.log_level)
        address = f"http://{chosen.host}:{chosen.port}"
        err.print(f"Serving on {address}: console at {address}/console/, API at /docs; Ctrl-C ends it.", markup=False)
        # uvicorn ends in good order on Ctrl-C and then raises it again; for a server it is the usual way to end.
        with suppress(KeyboardInterrupt), noted(chosen, address):
            server.run(sockets=[listening])


def _check_keys(chosen: Settings, listening: socket.socket) -> None:
    """Raise `UsageError` where other machines would reach a server that takes everybody for an admin."""
    if chosen.api_keys or chosen.api_keys_file or chosen.without_keys or is_loopback(listening):
        return
    raise UsageError(
        f"{chosen.host}:{chosen.port} can be reached from other machines, and without API keys everybody there may "
        "read, change and delete all collections: set BOTHWAYS_API_KEYS (`openssl rand -hex 32` makes one), or say "
        "--without-keys (BOTHWAYS_WITHOUT_KEYS=true) where something else keeps others out."
    )


def is_loopback(listening: socket.socket) -> bool:
    """Return whether this machine alone reaches the address that a socket listens on."""
    address = ipaddress.ip_address(listening.getsockname()[0].partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything is loaded, with a clear error where that fails."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise ListenError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}); choose another with --host and --port."
        ) from error
