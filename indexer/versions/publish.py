"""Which version of a collection a job writes to, and when that version goes live."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.alias import AliasView, view_alias
from bothways.core.collections.collection import RERANKER, Collection, alias_of, from_mapping, version_of
from bothways.core.collections.version_state import State, as_state
from bothways.core.elastic.build_mode import UNMERGED, begin_build, end_build, without_graphs
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.counting import chunks_of
from bothways.core.errors import AliasError, IncompatibleCollectionError
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.report import JobReport
from bothways.indexer.versions.acl import acl_to_keep, keep_acl, write_acl
from bothways.indexer.versions.check import check_version
from bothways.indexer.versions.merge import merge
from bothways.indexer.versions.remove import note_states, remove_versions
from bothways.indexer.versions.versions import add_new_fields, chunk_mapping, create_version, note, swap_alias

log = structlog.get_logger()

_REPLACED: frozenset[State] = frozenset({"building", "candidate", "failed its check", "rolled back"})
"""States of newer versions than the live one that a rebuild takes the place of."""
DONE_WITH: frozenset[State] = _REPLACED | {"previous"}
"""States of versions that are removed when a newer one goes live; what was live until then is kept."""


def live_version(options: JobOptions, parts: Parts) -> str | None:
    """Return the version that the alias points to, refusing one that was built with something else.

    Raises `AliasError` where there are versions and the alias points to none of them.
    """
    live = _sound(_view(options, parts), parts).live
    if live and not options.recreate:
        _warn_of_other_cuts(_require_same_build(live, options, parts), options)
    return live


def open_version(options: JobOptions, parts: Parts, *, built_from: str) -> str:
    """Find the index to write to: the live one, a build of the same path that was cut off, or a new one.

    Raises `AliasError` where there are versions and the alias points to none of them: a new version would hide them.
    """
    view = _sound(_view(options, parts), parts)
    live = view.live
    note_states(parts.client, view)
    if options.acl_field and view.versions:
        write_acl(parts.client, options.collection, options.acl_field)
    if live and not options.recreate:
        add_new_fields(parts.client, live)
        end_build(parts.client, live)  # where its first build was cut off
        return live
    if live is None and view.versions and (begun := _begun_first_build(view, options, parts, built_from)):
        return begun
    newer = [index for index in view.versions if version_of(index) > version_of(live or "")]
    if live and newer and _goes_on(newer[-1], options, parts, built_from):
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
        acl_field=options.acl_field or acl_to_keep(parts.client, view.alias, live),
    )
    created = create_version(parts.client, view.alias, without_graphs(mapping), synonyms=parts.synonyms())
    # Only now, so that no name is used twice: somebody may still search what was gone back from.
    remove_versions(parts.client, view, newer, only=_REPLACED)
    begin_build(parts.client, created)
    if live is None:
        _set_first_alias(view, created, parts)
    return created


def _begun_first_build(view: AliasView, options: JobOptions, parts: Parts, built_from: str) -> str | None:
    """Return a first build that was cut off before its alias was set; None where it is to be begun anew.

    One that was begun with other settings is replaced only while it is empty.
    """
    index = list(view.versions)[-1]
    if _goes_on(index, options, parts, built_from if options.recreate else None):
        add_new_fields(parts.client, index)
        _set_first_alias(view, index, parts)
        return index
    with elasticsearch_errors(f"counting the chunks of {view.alias}"):
        every = ",".join(view.versions)
        parts.client.indices.refresh(index=every)
        chunks = int(parts.client.count(index=every)["count"])
    if chunks:
        raise AliasError(view.problem(chunks_of(parts.client, view)))
    return None


def _set_first_alias(view: AliasView, index: str, parts: Parts) -> None:
    """Let searches go to a first version while it is being built; cut off between the two, the next run notes it."""
    swap_alias(parts.client, view.alias, to=index)
    note(parts.client, index, **as_state("live"))


def publish(index: str, options: JobOptions, parts: Parts, report: JobReport) -> None:
    """Point the alias to a finished rebuild, unless searches would lose by it; then `report.held` says why.

    The version before stays for going back and for those who still search it; older ones are removed.
    """
    view = _view(options, parts)
    if view.live == index:
        finish(parts.client, index)
        note_states(parts.client, view)
        return
    live = view.require_live()  # it was there when the job began
    report.held = _reason_to_wait(report, parts.client, live) or _failed_check(index, parts, report)
    if report.held:
        return
    finish(parts.client, index)
    keep_acl(parts.client, of=live, to=index)
    keep_reranker(parts.client, of=live, to=index)
    go_live(parts.client, view, live, index)
    remove_versions(parts.client, view, (old for old in view.versions if old not in {index, live}), only=DONE_WITH)


def go_live(client: Elasticsearch, view: AliasView, live: str, index: str) -> None:
    """Move the alias from the live version to a finished one, each step of it noted in `_meta`.

    The new one is noted first: whatever is cut off after that, no version that ever served a search says it did not.
    """
    note(client, index, **as_state("live"), rolled_back_at=None)
    swap_alias(client, view.alias, to=index)
    note(client, live, **as_state("previous"))


def finish(client: Elasticsearch, index: str) -> None:
    """End a build: once, and also where it was cut off, or somebody looked at it before it was complete."""
    end_build(client, index)
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
        return f"{lost} could not be read now, but the version in use contains it"
    return ""


def _failed_check(index: str, parts: Parts, report: JobReport) -> str:
    """Return what is wrong with the new version, "" if nothing is; the next run builds a wrong one anew."""
    wrong = check_version(
        parts.client,
        index,
        chunks=report.chunks + report.kept,
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


def _view(options: JobOptions, parts: Parts) -> AliasView:
    return view_alias(parts.client, options.collection, alias_of(options.collection))


def _sound(view: AliasView, parts: Parts) -> AliasView:
    """Raise `AliasError` where the alias points to none of the versions; an unfinished first build may continue."""
    if view.is_broken:
        raise AliasError(view.problem(chunks_of(parts.client, view)))
    return view


def _require_same_build(index: str, options: JobOptions, parts: Parts) -> Collection:
    with elasticsearch_errors(f"reading the mapping of {index}"):
        body = parts.client.indices.get_mapping(index=index)[index]
    version = from_mapping(options.collection, index, body["mappings"])
    version.require(embedding_model=parts.embedding_model, analyzer=parts.segmenter.name)
    return version


def _warn_of_other_cuts(version: Collection, options: JobOptions) -> None:
    """Warn where a run cuts its documents in another way than those that the version has already."""
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


def _goes_on(index: str, options: JobOptions, parts: Parts, built_from: str | None) -> bool:
    """Return whether an unfinished version was begun with the same parts and from this path, and is sound.

    None: from whatever path.
    """
    try:
        version = _require_same_build(index, options, parts)
    except IncompatibleCollectionError:
        return False
    return built_from in {None, version.built_from} and not version.is_discarded
