"""Which version of a collection a job writes to, and when that version goes live."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from elasticsearch import Elasticsearch

from core.collection import RERANKER, Collection, alias_of, from_mapping, version_of
from core.elastic import elasticsearch_errors
from core.errors import IncompatibleCollectionError
from core.quiet import UNMERGED, quieten, wake, without_graphs
from indexer.acl import acl_to_keep, keep_acl, write_acl
from indexer.check import check_version
from indexer.merge import merge
from indexer.parts import JobOptions, Parts
from indexer.report import JobReport
from indexer.versions import add_new_fields, chunk_mapping, create_version, note, swap_alias, versions

log = structlog.get_logger()


def live_version(options: JobOptions, parts: Parts) -> str | None:
    """Give the version that the alias points to, refusing one that was built with something else."""
    live = _live(_versions(options, parts))
    if live and not options.recreate:
        _warn_of_other_cuts(_require_same_build(live, options, parts), options)
    return live


def open_version(options: JobOptions, parts: Parts, *, built_from: str) -> str:
    """Find the index to write to: the live one, a rebuild of the same path that was cut off, or a new one."""
    alias = alias_of(options.collection)
    existing = _versions(options, parts)
    live = _live(existing)
    if options.acl_field and existing:
        write_acl(parts.client, options.collection, options.acl_field)
    if live and not options.recreate:
        _warn_of_other_cuts(_require_same_build(live, options, parts), options)
        add_new_fields(parts.client, live)
        wake(parts.client, live)  # where its first build was cut off
        return live
    newer = [index for index in existing if version_of(index) > version_of(live or "")]
    if newer and _goes_on(newer[-1], options, parts, built_from):
        add_new_fields(parts.client, newer[-1])
        # It is read from its beginning, and what was cut otherwise is replaced.
        note(parts.client, newer[-1], chunker=options.chunker, max_chars=options.max_chars)
        return newer[-1]
    mapping = chunk_mapping(
        embedding_model=parts.embedding_model,
        dimension=parts.encoder().dimension,
        analyzer=parts.segmenter.name,
        built_from=built_from,
        chunker=options.chunker,
        max_chars=options.max_chars,
        acl_field=options.acl_field or acl_to_keep(parts.client, alias, live),
    )
    created = create_version(parts.client, alias, without_graphs(mapping), synonyms=parts.synonyms())
    for index in newer:
        # Only now, so that no name is used twice: somebody may still search what was gone back from.
        _delete(parts.client, index)
    quieten(parts.client, created)
    if live is None:
        swap_alias(parts.client, alias, to=created)
    return created


def publish(index: str, options: JobOptions, parts: Parts, report: JobReport) -> None:
    """Let the alias point to a finished rebuild, unless searches would lose by it; then `report.held` says why.

    The version before stays for going back and for those who still search it; older ones are removed.
    """
    existing = _versions(options, parts)
    if existing.get(index):
        finish(parts.client, index)
        return
    live = _live(existing)
    report.held = _reason_to_wait(report, parts.client, live) or _failed_check(index, parts, report)
    if report.held:
        return
    finish(parts.client, index)
    if live:
        keep_acl(parts.client, of=live, to=index)
        keep_reranker(parts.client, of=live, to=index)
    swap_alias(parts.client, alias_of(options.collection), to=index)
    for old in existing:
        if old not in {index, live}:
            _delete(parts.client, old)


def finish(client: Elasticsearch, index: str) -> None:
    """End a build: once, and also where it was cut off, or somebody looked at it before it was complete."""
    wake(client, index)
    with elasticsearch_errors(f"reading the mapping of {index}"):
        meta = client.indices.get_mapping(index=index)[index]["mappings"].get("_meta", {})
    if meta.get(UNMERGED) and merge(client, index):
        note(client, index, **{UNMERGED: None})


def keep_reranker(client: Elasticsearch, *, of: str, to: str) -> None:
    """Let a version that is to go live be reranked by what was learnt for the one that is."""
    with elasticsearch_errors(f"reading the mapping of {of}"):
        learnt = client.indices.get_mapping(index=of)[of]["mappings"].get("_meta", {}).get(RERANKER)
    if learnt:
        note(client, to, **{RERANKER: str(learnt)})


def _reason_to_wait(report: JobReport, client: Elasticsearch, live: str | None) -> str:
    if report.chunks == 0:
        return "no document was read"
    if any(failure.stage in {"expand", "bulk"} for failure in report.failures):
        return "some of its chunks failed"
    unread = [failure.item for failure in report.failures if failure.stage == "read"]
    if live and unread and (lost := _served_now(client, live, unread)):
        return f"{lost} could not be read now, and the version in use has it"
    return ""


def _failed_check(index: str, parts: Parts, report: JobReport) -> str:
    """Look whether the new version holds and finds what was read; one that does not is built anew by the next run."""
    wrong = check_version(
        parts.client,
        index,
        chunks=report.chunks,
        may_hold_more=any(failure.stage == "read" for failure in report.failures),
        encoder=parts.encoder(),
        segmenter=parts.segmenter,
    )
    if wrong:
        note(parts.client, index, failed_check=wrong)
    return wrong


def _served_now(client: Elasticsearch, live: str, sources: Sequence[str]) -> str | None:
    """Name one of the sources that the live version has chunks of."""
    with elasticsearch_errors("comparing the versions"):
        query = {"terms": {"source": list(sources)[:1000]}}
        hits = client.search(index=live, size=1, query=query, source_includes=["source"])["hits"]["hits"]
    return str(hits[0]["_source"]["source"]) if hits else None


def _versions(options: JobOptions, parts: Parts) -> dict[str, bool]:
    alias = alias_of(options.collection)
    with elasticsearch_errors(f"listing the versions of {alias}"):
        return versions(parts.client, alias)


def _live(existing: dict[str, bool]) -> str | None:
    return next((index for index, is_live in existing.items() if is_live), None)


def _require_same_build(index: str, options: JobOptions, parts: Parts) -> Collection:
    with elasticsearch_errors(f"reading the mapping of {index}"):
        body = parts.client.indices.get_mapping(index=index)[index]
    version = from_mapping(options.collection, index, body["mappings"])
    version.require(embedding_model=parts.embedding_model, analyzer=parts.segmenter.name)
    return version


def _warn_of_other_cuts(version: Collection, options: JobOptions) -> None:
    """Say so where a run cuts its documents in another way than those that the version has already."""
    built, now = (version.chunker, version.max_chars), (options.chunker, options.max_chars)
    if version.chunker is None or built == now:
        return
    log.warning(
        "cut_in_another_way",
        collection=version.name,
        built_with=f"{version.chunker}, {version.max_chars} characters",
        now=f"{options.chunker}, {options.max_chars} characters",
        meaning="the documents of this run are cut anew, all others stay as they are",
        hint="--recreate builds all of them alike",
    )


def _goes_on(index: str, options: JobOptions, parts: Parts, built_from: str) -> bool:
    """Tell whether an unfinished version was begun with the same parts and from the same path, and is sound."""
    try:
        version = _require_same_build(index, options, parts)
    except IncompatibleCollectionError:
        return False
    return version.built_from == built_from and not version.is_discarded


def _delete(client: Elasticsearch, index: str) -> None:
    with elasticsearch_errors(f"removing {index}"):
        client.indices.delete(index=index)
    log.info("version_removed", index=index)
