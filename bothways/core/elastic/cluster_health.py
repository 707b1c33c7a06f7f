"""The health of Elasticsearch, and what is wrong with it: each reason is a sentence, followed by what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors

MAX_NAMED = 5
"""Indexes that one sentence names; more are counted."""

_RETRY = "make room or mend that, then restart the node (`bothways es down`, `bothways es up`)"


@dataclass(frozen=True, slots=True)
class ClusterHealth:
    """The status of `_cluster/health` (green, yellow or red), and a sentence for each problem."""

    status: str
    reasons: Sequence[str] = field(default=())


def cluster_health(client: Elasticsearch) -> ClusterHealth:
    """Ask for status, disks, write blocks and shards that are on no node.

    Raise `ElasticsearchError` if the caller lacks the privilege `monitor`, `ElasticsearchUnavailableError` if nothing
    answers.
    """
    with elasticsearch_errors("asking for the cluster's health"):
        status = str(client.cluster.health()["status"])
        disks = list(disk_reasons(client.nodes.stats(metric="fs").body))
        blocked = client.indices.get_settings(name="index.blocks.*", flat_settings=True).body
        rows: Any = client.cat.shards(format="json", h="index,shard,prirep,state").body
        reasons = [*disks, *block_reasons(blocked, disk_is_full=bool(disks)), *_shard_reasons(client, rows)]
    return ClusterHealth(status, tuple(reasons))


def disk_reasons(stats: Mapping[str, Any]) -> Iterator[str]:
    """Name the data folders with too little room, from `_nodes/stats/fs`."""
    for node in stats["nodes"].values():
        for disk in node["fs"].get("data", ()):
            free = int(disk.get("available_in_bytes", 0))
            flood = int(disk.get("flood_stage_free_space_in_bytes", 0))
            high = int(disk.get("high_watermark_free_space_in_bytes", 0))
            room = f"The disk of Elasticsearch's data ({disk['path']}) has {_gb(free)} GB free"
            if free < flood:
                yield (
                    f"{room}; with less than {_gb(flood)} GB it only reads and deletes. Make room there: it writes "
                    f"again by itself, within a minute, once {_gb(high)} GB are free."
                )
            elif free < high:
                yield (
                    f"{room}; with less than {_gb(high)} GB no new index can be used, and with less than {_gb(flood)} "
                    "GB nothing can be written. Make room there."
                )


def block_reasons(settings: Mapping[str, Any], *, disk_is_full: bool) -> Iterator[str]:
    """Name the indexes that refuse writes, from their flat settings `index.blocks.*`.

    Elasticsearch itself sets `read_only_allow_delete` when a disk is full, and removes it; every other block was set
    by a person, and stays until it is removed.
    """
    by_block: dict[str, list[str]] = {}
    for index, found in settings.items():
        for name, value in found["settings"].items():
            if str(value) == "true":
                by_block.setdefault(name, []).append(index)
    for name, indexes in sorted(by_block.items()):
        if name == "index.blocks.read_only_allow_delete":
            why = "because the disk is full" if disk_is_full else "since the disk was full"
            what = "once there is room, this ends by itself within a minute."
        else:
            why = f"because `{name}` was set"
            what = f"set it to null (`PUT /INDEX/_settings`) to write there again ({name})."
        yield f"Not written to {why}: {_named(indexes)}; {what}"


def _shard_reasons(client: Elasticsearch, rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Say for each red index why its data is in use on no node, and for all yellow ones together that they are."""
    missing = [row for row in rows if row["state"] == "UNASSIGNED"]
    red = {row["index"]: row["shard"] for row in missing if row["prirep"] == "p"}
    for index, shard in sorted(red.items())[:MAX_NAMED]:
        allocation = client.cluster.allocation_explain(index=index, shard=int(shard), primary=True).body
        yield red_reason(index, allocation)
    if len(red) > MAX_NAMED:
        yield f"{len(red) - MAX_NAMED} more indexes are red."
    if yellow := {row["index"] for row in missing if row["prirep"] == "r"} - red.keys():
        yield (
            f"Copies of {_named(sorted(yellow))} are on no node, as on a cluster of one node: searches are whole, but "
            "a lost disk takes the data with it. Add a node, or set `number_of_replicas` to 0."
        )


def red_reason(index: str, allocation: Mapping[str, Any]) -> str:
    """Say in one sentence why an index's shard is on no node, from `_cluster/allocation/explain`."""
    begin = f"{index} is red, so it cannot be searched:"
    deciders = [
        decider
        for node in allocation.get("node_allocation_decisions", ())
        for decider in node.get("deciders", ())
        if decider.get("decision") == "NO"
    ]
    names = {decider["decider"] for decider in deciders}
    if "disk_threshold" in names:
        return f"{begin} the disk has no room for it. Make room: it is used by itself within a minute."
    if "max_retry" in names:
        details = allocation.get("unassigned_info", {}).get("details", "no details are given")
        return f"{begin} its data could not be opened several times ({_brief(details)}); {_RETRY}."
    if allocation.get("can_allocate") == "no_valid_shard_copy":
        return (
            f"{begin} its data is missing or damaged{_store_error(allocation)}. Restore a snapshot, or delete the "
            "collection and index its documents again."
        )
    why = deciders[0]["explanation"] if deciders else allocation.get("allocate_explanation", "no reason is given")
    return f"{begin} {_brief(why)}."


def _store_error(allocation: Mapping[str, Any]) -> str:
    for node in allocation.get("node_allocation_decisions", ()):
        error = node.get("store", {}).get("store_exception")
        if isinstance(error, Mapping):
            return f" ({_brief(error.get('reason') or error.get('type'))})"
    return ""


def _named(indexes: Sequence[str]) -> str:
    more = f" and {len(indexes) - MAX_NAMED} more" if len(indexes) > MAX_NAMED else ""
    return ", ".join(indexes[:MAX_NAMED]) + more


def _brief(text: object) -> str:
    return " ".join(str(text).split())[:300].rstrip(".")


def _gb(size: int) -> str:
    return f"{size / 2**30:.1f}"
