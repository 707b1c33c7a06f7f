"""`bothways mcp`: the tools of a running API for whatever speaks the Model Context Protocol."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from bothways.api.server import make_server
from bothways.cli.output import err
from bothways.cli.verbs.serve import is_loopback, listen
from bothways.client import Client
from bothways.client.errors import AuthenticationError, ProblemError
from bothways.client.errors import BothwaysError as ClientError
from bothways.client.http.sending import address
from bothways.core.errors import MissingExtraError, UsageError
from bothways.core.settings import load_settings

if TYPE_CHECKING:
    from bothways.client.mcp import Target

PORT = 8001


def mcp(
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="address of the API; unset: BOTHWAYS_SERVER_URL")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="collection to search where a call names none")] = None,
    http: Annotated[bool, typer.Option("--http", help="serve streamable HTTP at /mcp instead of stdio")] = False,
    host: Annotated[str, typer.Option(help="address to listen on with --http")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="port with --http")] = PORT,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="another host name by which it may be reached with --http; repeatable"),
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="allow other machines to reach it although the API has no keys")
    ] = False,
) -> None:
    """Serve search and ask as MCP tools, until stdin ends or Ctrl-C.

    The tools `search`, `ask` and `list_collections` ask a running API.
    """
    chosen = load_settings(server_url=server)
    try:
        url = address(chosen.server_url)
    except ValueError as error:
        raise UsageError(f"--server: {error}") from error
    try:
        from bothways.client import mcp as ours  # an extra is behind it
    except ImportError as error:
        raise MissingExtraError(str(error)) from error
    key = chosen.server_api_key.get_secret_value() if chosen.server_api_key else ""
    target = ours.Target(url=url, api_key=key, collection=collection, lends_key=not http or host in ours.LOOPBACK)
    # uvicorn ends in good order on Ctrl-C and then raises it again; for a server it is the usual way to end.
    with suppress(KeyboardInterrupt):
        if http:
            _serve_http(target, host, port, allowed_host or [], without_keys=without_keys)
        else:
            asyncio.run(ours.serve_stdio(target))


def _serve_http(target: Target, host: str, port: int, allowed_hosts: list[str], *, without_keys: bool) -> None:
    from bothways.client.mcp import http_app

    named = f"[{host}]" if ":" in host else host
    with listen(host, port) as listening:
        if not (without_keys or is_loopback(listening)):
            _check_that_the_api_has_keys(target, f"{named}:{port}")
        app = http_app(target, allowed_hosts=[named, *allowed_hosts])
        err.print(f"MCP on http://{host}:{port}/mcp, asks {target.url}; Ctrl-C ends it.", markup=False)
        make_server(app, log_level="warning").run(sockets=[listening])


def _check_that_the_api_has_keys(target: Target, here: str) -> None:
    """Raise `UsageError` if callers from other machines could read through the tools what the API keeps to this one."""
    try:
        with Client(target.url, api_key="") as client:
            client.collections()
    except AuthenticationError:
        return
    except ProblemError:
        pass  # the key comes before whatever else is wrong, so it was not asked for
    except ClientError as error:
        raise UsageError(f"Whether that API has keys cannot be told: {error} Or say --without-keys.") from error
    raise UsageError(
        f"{here} can be reached from other machines, and the API at {target.url} has no keys, so that everybody there "
        "may read all collections: set BOTHWAYS_API_KEYS for the API, or say --without-keys where something else keeps "
        "others out."
    )
