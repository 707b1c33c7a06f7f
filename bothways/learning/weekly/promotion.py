"""What goes live, and what comes back: the alias of a collection, and the reranker that its live version names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.alias import view_alias
from bothways.core.collections.collection import RERANKER, Collection, alias_of, open_collection, open_index, version_of
from bothways.core.collections.lease import alone_on
from bothways.core.elastic.lease import Lease
from bothways.core.errors import UsageError
from bothways.indexer.versions.acl import keep_acl
from bothways.indexer.versions.publish import DONE_WITH, go_live
from bothways.indexer.versions.remove import remove_versions
from bothways.indexer.versions.rollback import rollback
from bothways.indexer.versions.versions import note
from bothways.learning.weekly.history import History, Record
from bothways.learning.weekly.questions.candidate import BUILT_FROM
from bothways.learning.weekly.questions.rewriting import Rewritten

log = structlog.get_logger()


def promote_index(
    client: Elasticsearch,
    live: Collection,
    candidate: Collection,
    *,
    changed: Sequence[Rewritten],
    record: Record,
    lease: Lease,
) -> Record:
    """Let searches go to the candidate, in one atomic step; the version before is kept, others are removed.

    The caller holds the collection's lease. What is written down before and after tells an interrupted promotion.
    """
    view = view_alias(client, live.name, alias_of(live.name))
    if view.require_live() != live.index:
        raise UsageError(f"{view.live} is live by now, and the candidate was made of {live.index}: run it again.")
    pairs = {one.chunk.chunk_id: list(one.task.pairs) for one in changed}
    history = History(client)
    kept = history.write(replace(record, from_index=live.index, to_index=candidate.index, pairs=pairs))
    keep_acl(client, of=live.index, to=candidate.index)
    lease.check()
    go_live(client, view, live.index, candidate.index)
    note(client, candidate.index, **{BUILT_FROM: live.built_from})
    others = [index for index in view.versions if index not in {live.index, candidate.index}]
    remove_versions(client, view, others, only=DONE_WITH)
    log.info("promoted", collection=live.name, index=candidate.index, instead_of=live.index)
    return history.mark(kept, "promoted")


def promote_reranker(client: Elasticsearch, name: str, folder: str, *, measured_on: str, record: Record) -> Record:
    """Let a collection's searches be reranked by the model in a folder, from within a few seconds on.

    Raises `UsageError` where another version than the one that the model was measured on is live by now.
    """
    history = History(client)
    with alone_on(client, name) as lease:
        live = open_collection(client, name)
        if live.index != measured_on:
            raise UsageError(
                f"{live.index} is live by now, and the reranker was measured on {measured_on}: run it again."
            )
        alone = replace(record, from_index=live.index, to_index=live.index)
        known = next((one for one in history.of(name) if one.run_id == record.run_id), alone)
        kept = history.write(replace(known, reranker_before=live.reranker, reranker=folder))
        lease.check()
        note(client, live.index, **{RERANKER: folder})
    log.info("reranker_promoted", collection=name, folder=folder)
    return history.mark(kept, "promoted")


def refuse(client: Elasticsearch, candidate: Collection, reasons: Sequence[str], *, remove: bool) -> None:
    """Keep a refused candidate out of use, under its name, or remove it."""
    if remove:
        view = view_alias(client, candidate.name, alias_of(candidate.name))
        remove_versions(client, view, [candidate.index], only=("candidate",))
        return
    note(client, candidate.index, failed_check=f"refused by the promotion gate: {'; '.join(reasons)}"[:1000])


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What was put back: versions and rerankers before and after."""

    run: str
    index_before: str
    index: str
    reranker_before: str
    reranker: str


def roll_back(client: Elasticsearch, name: str) -> RolledBack:
    """Put back what was there before the last promotion of a collection, index and model.

    Raises `UsageError` where nothing was promoted, or the collection was rebuilt or taken back since.
    """
    history = History(client)
    live = open_collection(client, name)
    records = [record for record in history.of(name) if record.state != "rolled back"]
    # A promotion that was cut off before the alias moved has not happened.
    records = [record for record in records if record.state == "promoted" or record.to_index == live.index]
    if not records:
        raise UsageError(f"Nothing that was learnt for {name!r} is in use, so there is nothing to take back.")
    last = records[-1]
    if last.to_index != live.index:
        raise UsageError(
            f"{live.index} is live, which is not what was promoted last ({last.to_index}): it was rebuilt or taken "
            f"back since. `bothways collections rollback {name}` goes to the version before."
        )
    if last.from_index != last.to_index:
        if open_index(client, name, last.from_index) is None:
            raise UsageError(f"{last.from_index}, which served before, is not there any more.")
        rollback(client, name, to=version_of(last.from_index))
    else:
        with alone_on(client, name) as lease:
            lease.check()
            note(client, live.index, **{RERANKER: last.reranker_before or None})
    history.mark(last, "rolled back")
    now = open_collection(client, name)
    log.info("taken_back", collection=name, run=last.run_id, index=now.index, reranker=now.reranker)
    return RolledBack(
        run=last.run_id,
        index_before=live.index,
        index=now.index,
        reranker_before=live.reranker,
        reranker=now.reranker,
    )
