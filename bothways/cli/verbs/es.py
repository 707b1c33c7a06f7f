"""`bothways es up | down | status`: the Elasticsearch of our own."""

from __future__ import annotations

from typing import Annotated

import typer

from bothways.cli.options import JsonOption
from bothways.cli.output import err, out, print_json, printable
from bothways.core.analysis import load_segmenter, segment_synonyms
from bothways.core.elastic.cluster_health import ClusterHealth, cluster_health
from bothways.core.errors import ElasticsearchError, NodeError, UsageError
from bothways.core.settings import Settings, settings
from bothways.core.text.address import public_url
from bothways.node import NodeInfo, down, purge, status, up
from bothways.node.connect import connect
from bothways.node.local import Kind

_ASK_TIMEOUT_S = 5.0
"""Seconds for each question about the health: `status` is asked when something hangs."""


def up_command(
    docker: Annotated[bool, typer.Option("--docker", help="start it in Docker only")] = False,
    local: Annotated[bool, typer.Option("--local", help="start it as a local process, even where Docker runs")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start an Elasticsearch on this machine, and leave it running.

    It runs in Docker where an engine is up, else as a process of yours, and only this machine can reach it.
    """
    if docker and local:
        raise UsageError("--docker and --local cannot go together.")
    if url := settings().es_url:
        _say_url(url, as_json)
        return
    kind: Kind | None = "docker" if docker else "local" if local else None
    if not status(settings()):
        err.print("Starting Elasticsearch; this takes up to a minute, the first time longer.")
    _say_node(up(settings(), prepare=_segment, kind=kind), as_json)


def _segment(rules: str) -> str:
    return segment_synonyms(rules, load_segmenter(settings()))


def down_command(
    remove_data: Annotated[
        bool, typer.Option("--purge", help="also delete its indexes, configuration and logs")
    ] = False,
) -> None:
    """Stop the Elasticsearch that `up` started; its indexes stay."""
    stopped = purge(settings()) if remove_data else down(settings())
    out.print("Elasticsearch is stopped." if stopped else "No Elasticsearch was running that was started here.")


def status_command(as_json: JsonOption = False) -> None:
    """Show which Elasticsearch is used, how it is, and what to do about it."""
    if url := settings().es_url:
        _say_url(url, as_json, _health(settings()))
    elif info := status(settings()):
        _say_node(info, as_json, _health(settings()))
    elif as_json:
        print_json({"kind": None, "url": None})
    else:
        out.print("No Elasticsearch is running that was started here; `bothways es up` starts one.")


def _health(chosen: Settings) -> ClusterHealth:
    """Ask the Elasticsearch in use how it is; where that fails, the reason is why."""
    brief = chosen.model_copy(update={"es_timeout_s": min(chosen.es_timeout_s, _ASK_TIMEOUT_S)})
    try:
        client, _ = connect(brief)
        with client:
            return cluster_health(client)
    except (ElasticsearchError, NodeError) as error:
        return ClusterHealth("unknown", (str(error),))


def _say_url(url: str, as_json: bool, health: ClusterHealth | None = None) -> None:
    url = public_url(url)
    if as_json:
        print_json({"kind": "url", "url": url} | _as_json(health))
        return
    out.print(f"BOTHWAYS_ES_URL is set, so {url} is used and nothing is to be started.", markup=False)
    _say_health(health)


def _say_node(info: NodeInfo, as_json: bool, health: ClusterHealth | None = None) -> None:
    if as_json:
        print_json(info.to_json() | _as_json(health))
        return
    where = f"container {info.container}" if info.container else f"process {info.pid}"
    out.print(f"Elasticsearch {info.version} answers at {info.url} ({where}).", markup=False)
    out.print(f"  config  {info.config}\n  data    {info.data}\n  logs    {info.logs}", markup=False)
    if info.user:
        out.print(f"  login   {info.user}, with the password in {info.password_file}", markup=False)
    _say_health(health)


def _as_json(health: ClusterHealth | None) -> dict[str, object]:
    return {"status": health.status, "reasons": list(health.reasons)} if health else {}


def _say_health(health: ClusterHealth | None) -> None:
    if health is not None:
        lines = [f"  status  {health.status}", *(f"  - {reason}" for reason in health.reasons)]
        out.print(printable("\n".join(lines)), markup=False)
