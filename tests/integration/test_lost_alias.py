"""A collection whose alias is lost, or points where it should not: nothing is deleted, and a person decides."""

from __future__ import annotations

import json

import pytest
import structlog

from bothways.core.collections.collection import (
    delete_collection,
    list_broken,
    list_collections,
    open_collection,
    require_alias,
)
from bothways.core.errors import AliasError, CollectionNotFoundError, UsageError
from bothways.indexer.versions import publish
from bothways.indexer.versions.acl import set_acl
from bothways.indexer.versions.adopt import adopt, delete_version
from bothways.indexer.versions.rollback import list_versions, rollback
from bothways.indexer.versions.versions import chunk_mapping, create_version, note, swap_alias
from bothways.search.options import SearchOptions

pytestmark = pytest.mark.elasticsearch

HINT = r"bothways collections adopt {} --version {}"


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in {"leave": "员工请假应当提前三天提交申请。", "pay": "工资每月十号发放。"}.items():
        (docs / f"{name}.txt").write_text(text, encoding="utf-8")
    return docs


@pytest.fixture
def one(tmp_path):
    """A single file beside the folder."""
    path = tmp_path / "one.txt"
    path.write_text("差旅费用凭发票报销。", encoding="utf-8")
    return path


@pytest.fixture
def versions(es, collection):
    """Number, state and chunks of each version of this test's collection."""

    def read():
        es[0].indices.refresh(index=f"bothways-{collection}-v*")
        return [(version.number, version.state, version.chunks) for version in list_versions(es[0], collection)]

    return read


@pytest.fixture
def lose_alias(es, collection):
    def lose(index="*"):
        es[0].indices.delete_alias(index=f"bothways-{collection}-v{index}", name=f"bothways-{collection}")

    return lose


def meta_of(es, index):
    return es[0].indices.get_mapping(index=index)[index]["mappings"]["_meta"]


def as_of_an_older_bothways(es, index):
    note(es[0], index, state=None, state_since=None, rolled_back_at=None)


# A lost alias


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("recreate", [False, True])
def test_indexing_one_file_after_the_alias_is_lost_deletes_nothing(
    folder, one, build, es, collection, versions, lose_alias, older, recreate
):
    index = build(folder).index
    if older:
        as_of_an_older_bothways(es, index)
    lose_alias()
    with pytest.raises(AliasError, match=HINT.format(collection, 1)) as told:
        build(one, recreate=recreate)
    assert "v1: " in str(told.value)
    assert "2 chunks" in str(told.value)
    assert versions() == [(1, "unknown" if older else "kept", 2)]

    adopted, before = adopt(es[0], collection, 1)
    assert (adopted.chunks, before) == (2, "unknown" if older else "kept")
    assert versions() == [(1, "live", 2)]
    assert meta_of(es, index)["state"] == "live"
    report = build(one)
    assert (report.index, report.succeeded, versions()) == (index, True, [(1, "live", 3)])


def test_a_lost_alias_is_told_by_searches_lists_and_at_the_door(
    folder, build, es, searcher, collection, lose_alias, run
):
    build(folder)
    lose_alias()
    hint = HINT.format(collection, 1)
    for ask in (
        lambda: searcher.search("请假", collection, SearchOptions()),
        lambda: open_collection(es[0], collection),
        lambda: require_alias(es[0], collection),
        lambda: rollback(es[0], collection),
        lambda: build(folder, dry_run=True),
    ):
        with pytest.raises(AliasError, match=hint):
            ask()
    assert collection in [view.name for view in list_broken(es[0])]
    assert collection not in [opened.name for opened, *_ in list_collections(es[0])]

    code, _, err = run("collections")
    assert code == 0
    assert f"{collection}: The collection {collection!r} has versions but no alias" in err
    code, out, _ = run("collections", "--json")
    (row,) = [row for row in json.loads(out) if row["name"] == collection]
    assert (row["index"], row["documents"], [v["state"] for v in row["versions"]]) == ("", 0, ["kept"])
    assert "collections adopt" in row["problem"]
    code, _, err = run("search", "请假", "--collection", collection)
    assert code == 1
    assert "collections adopt" in err


def test_adopting_by_the_command_line(folder, build, es, collection, lose_alias, run):
    build(folder)
    lose_alias()
    code, _, err = run("collections", "adopt", collection, "--version", 2)
    assert code == 2
    assert "has no version 2; there is: v1" in err
    code, _, err = run("collections", "adopt", collection, "--version", 1, BOTHWAYS_EMBEDDING_MODEL="fake/hash")
    assert code == 0
    assert f"Searches in {collection} go to bothways-{collection}-v1 now (2 chunks)" in err
    code, out, _ = run("collections", "adopt", collection, "--version", 1, "--json")
    assert (code, json.loads(out)["was"]) == (0, "live")
    code, _, err = run("collections", "adopt", "no-such-thing", "--version", 1)
    assert code == 1
    assert "There is no collection" in err


def test_an_orphan_can_be_deleted_by_name(folder, build, es, collection, lose_alias, run):
    build(folder)
    lose_alias()
    code, _, err = run("delete", collection, "--yes")
    assert code == 0
    assert f"bothways-{collection}-v1" in err
    with pytest.raises(CollectionNotFoundError):
        open_collection(es[0], collection)


def test_an_adopted_version_does_not_open_what_was_closed(folder, build, es, collection, lose_alias):
    build(folder)
    build(folder, recreate=True)
    set_acl(es[0], collection, "groups")
    note(es[0], f"bothways-{collection}-v1", acl_field=None)  # as restored from before
    lose_alias()
    adopt(es[0], collection, 1)
    assert open_collection(es[0], collection).acl_field == "groups"


def test_a_version_that_was_adopted_instead_is_removed_by_no_rebuild_while_uploads_are_in_it_alone(
    folder, one, build, es, collection, versions, lose_alias
):
    build(folder)
    build(folder, recreate=True)
    upload = one.parent / "upload"
    upload.mkdir()
    one.rename(upload / "one.txt")
    build(upload, origin="upload")
    lose_alias()
    adopt(es[0], collection, 1)
    assert versions() == [(1, "live", 2), (2, "rolled back", 3)]
    build(folder, recreate=True)
    assert versions() == [(1, "kept", 2), (2, "rolled back", 3), (3, "live", 2)]
    assert delete_version(es[0], collection, 2) == (f"bothways-{collection}-v2", 3)
    with pytest.raises(UsageError, match=r"searches in .* go to"):
        delete_version(es[0], collection, 3)


# A first build that was cut off


@pytest.mark.parametrize("recreate", [False, True])
def test_a_build_killed_between_creation_and_alias_goes_on_by_itself(
    folder, build, es, collection, versions, monkeypatch, recreate
):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publish, "swap_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            build(folder, recreate=recreate)
    assert versions() == [(1, "unfinished", 0)]
    assert collection not in [view.name for view in list_broken(es[0])], "nothing that a person has to mend"
    require_alias(es[0], collection)
    report = build(folder, recreate=recreate)
    assert (report.index, report.indexed) == (f"bothways-{collection}-v1", 2)
    assert versions() == [(1, "live", 2)]


def test_an_empty_first_build_of_another_model_gives_way_and_one_with_chunks_does_not(
    folder, build, es, segmenter, collection, versions
):
    client, alias = es[0], f"bothways-{collection}"
    mapping = chunk_mapping(embedding_model="fake/other", dimension=64, analyzer=segmenter.name)
    index = create_version(client, alias, mapping)
    client.index(index=index, document={"doc_id": "d", "text": "x"}, refresh=True)
    with pytest.raises(AliasError, match="1 chunks"):
        build(folder)
    assert versions() == [(1, "unfinished", 1)]
    client.delete_by_query(index=index, query={"match_all": {}}, refresh=True)
    assert build(folder).index == f"{alias}-v2"
    assert versions() == [(2, "live", 2)]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_job_killed_while_a_rebuild_goes_live_is_mended_by_the_next(
    folder, build, es, collection, versions, monkeypatch, step
):
    """The three steps are: noting the new version, moving the alias, noting the old one."""
    build(folder)
    steps = []

    def dying(real):
        def call(*args, **kwargs):
            steps.append(real)
            if len(steps) == step:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        return call

    def go_live(*args):
        with monkeypatch.context() as patched:
            patched.setattr(publish, "note", dying(note))
            patched.setattr(publish, "swap_alias", dying(swap_alias))
            real(*args)

    real = publish.go_live
    with monkeypatch.context() as patched:
        patched.setattr(publish, "go_live", go_live)
        with pytest.raises(KeyboardInterrupt):
            build(folder, recreate=True)
    assert len(steps) == step
    build(folder)
    build(folder, recreate=True)
    assert versions()[-1][1:] == ("live", 2)
    assert [state for _, state, _ in versions()] == ["kept", "live"]
    assert meta_of(es, f"bothways-{collection}-v{versions()[0][0]}")["state"] == "previous"


# Restores in part


def test_an_alias_on_an_older_version_deletes_no_newer_one_that_was_live(
    folder, one, build, es, collection, versions, run
):
    build(folder)
    build(folder, recreate=True)
    build(one)
    assert collection + ": " not in run("collections")[2]
    swap_alias(es[0], f"bothways-{collection}", to=f"bothways-{collection}-v1")
    code, out, _ = run("collections", "--json")
    (row,) = [row for row in json.loads(out) if row["name"] == collection]
    assert (code, row["index"]) == (0, f"bothways-{collection}-v1")
    assert "points to v1, though v2 was live later" in row["problem"]
    assert row["problem"] in run("collections")[2]
    with structlog.testing.capture_logs() as logs:
        report = build(folder, recreate=True, embedding_model="fake/other")
    assert report.succeeded
    assert versions() == [(1, "kept", 2), (2, "kept", 3), (3, "live", 2)]
    told = {line["event"]: line for line in logs if line["log_level"] == "warning"}
    assert told["newer_version_is_not_live"]["index"] == f"bothways-{collection}-v2"
    assert told["version_kept"]["hint"] == f"bothways delete {collection} --version 2 removes it"


def test_two_versions_behind_one_alias_are_a_persons_to_choose_from(folder, build, es, collection, versions):
    alias = f"bothways-{collection}"
    build(folder)
    build(folder, recreate=True)
    swap_alias(es[0], alias, to=f"{alias}-v2")
    es[0].indices.update_aliases(
        actions=[
            {"add": {"index": f"{alias}-v2", "alias": alias, "is_write_index": False}},
            {"add": {"index": f"{alias}-v1", "alias": alias}},
        ]
    )
    for ask in (lambda: build(folder), lambda: open_collection(es[0], collection)):
        with pytest.raises(AliasError, match=rf"{alias}-v1 and {alias}-v2 at once"):
            ask()
    adopt(es[0], collection, 2)
    assert versions() == [(1, "kept", 2), (2, "live", 2)]


def test_an_alias_on_an_index_that_is_no_version(folder, build, es, collection, versions, lose_alias):
    alias = f"bothways-{collection}"
    build(folder)
    restored = f"{alias}-v1-restored"
    body = es[0].indices.get_mapping(index=f"{alias}-v1")[f"{alias}-v1"]["mappings"]
    es[0].indices.create(index=restored, mappings={"_meta": body["_meta"]})
    try:
        lose_alias()
        es[0].indices.put_alias(index=restored, name=alias)
        for ask in (lambda: build(folder), lambda: open_collection(es[0], collection)):
            with pytest.raises(AliasError, match=rf"points to {restored}, which is no version.*{alias}-v2"):
                ask()
        assert versions() == [(1, "kept", 2)]
        adopt(es[0], collection, 1)
        assert versions() == [(1, "live", 2)]
        assert list(es[0].indices.get_alias(name=alias)) == [f"{alias}-v1"]
    finally:
        es[0].indices.delete(index=restored)


def test_an_index_of_the_aliass_own_name(folder, build, es, collection, versions, lose_alias):
    """A program that writes to the alias after it was lost has Elasticsearch make such an index."""
    alias = f"bothways-{collection}"
    build(folder)
    lose_alias()
    es[0].index(index=alias, document={"text": "x"})
    try:
        for ask in (
            lambda: build(folder),
            lambda: open_collection(es[0], collection),
            lambda: adopt(es[0], collection, 1),
        ):
            with pytest.raises(AliasError, match=f"An index is named {alias}"):
                ask()
    finally:
        es[0].indices.delete(index=alias)
    assert versions() == [(1, "kept", 2)]


# Collections of an older Bothways


def test_versions_without_a_state_work_and_are_not_deleted(folder, build, es, collection, versions):
    for recreate in (False, True):
        as_of_an_older_bothways(es, build(folder, recreate=recreate).index)
    as_of_an_older_bothways(es, f"bothways-{collection}-v1")
    assert versions() == [(1, "kept", 2), (2, "live", 2)]
    with structlog.testing.capture_logs() as logs:
        assert build(folder, recreate=True).held == ""
    assert versions() == [(1, "kept", 2), (2, "kept", 2), (3, "live", 2)]
    (told,) = [line for line in logs if line["event"] == "version_kept"]
    assert "of an older Bothways" in told["why"]
    build(folder, recreate=True)
    assert versions() == [(1, "kept", 2), (3, "kept", 2), (4, "live", 2)], "v2 was noted, v1 stays"


# What is said


def test_deletions_of_versions_are_logged_with_their_chunks_and_why(folder, build, es, collection):
    build(folder)
    build(folder, recreate=True)
    with structlog.testing.capture_logs() as logs:
        build(folder, recreate=True)
        delete_collection(es[0], collection)
    removed = [line for line in logs if line["event"] == "version_removed"]
    assert [(line["index"][-2:], line["chunks"], line["log_level"]) for line in removed] == [
        ("v1", 2, "warning"),
        ("v2", 2, "warning"),
        ("v3", 2, "warning"),
    ]
    assert [line["why"] for line in removed][:2] == [
        "two newer versions were live after it",
        "its collection is deleted",
    ]


def test_states_are_written_at_each_step(folder, build, es, collection):
    alias = f"bothways-{collection}"

    def states():
        found = es[0].indices.get_mapping(index=f"{alias}-v*")
        return {int(index[-1]): body["mappings"]["_meta"]["state"] for index, body in found.items()}

    build(folder)
    assert states() == {1: "live"}
    build(folder, recreate=True)
    assert states() == {1: "previous", 2: "live"}
    rollback(es[0], collection)
    assert states() == {1: "live", 2: "rolled back"}
    rollback(es[0], collection, to=2)
    assert states() == {1: "previous", 2: "live"}
    assert meta_of(es, f"{alias}-v2")["state_since"] > meta_of(es, f"{alias}-v2")["created_at"]
    made = create_version(es[0], alias, chunk_mapping(embedding_model="m", dimension=8, analyzer="a"))
    assert meta_of(es, made)["state"] == "building"
