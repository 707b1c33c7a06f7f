"""How a collection was cut stands in it, and a run that cuts otherwise says so. A real Elasticsearch."""

from __future__ import annotations

import pytest
import structlog

from bothways.core.collections.collection import open_collection
from bothways.indexer.versions.rollback import list_versions
from bothways.indexer.versions.versions import note
from tests.fakes import DyingWriter

pytestmark = pytest.mark.elasticsearch

STATUTE = "".join(f"第{n}条 本条规定第{n}号事项的办理期限，自受理之日起计算。\n" for n in "一二三四五六七八九")


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(f"# 规定\n\n{STATUTE}", encoding="utf-8")
    (docs / "b.md").write_text(f"# 办法\n\n{STATUTE}", encoding="utf-8")
    return docs


@pytest.fixture
def told(build):
    """Index, and give what was said of the chunker."""

    def run(path, **options):
        with structlog.testing.capture_logs() as logs:
            assert build(path, **options).succeeded
        return [line for line in logs if line["event"] == "cut_in_another_way"]

    return run


@pytest.fixture
def cut(es, collection):
    def read():
        live = open_collection(es[0], collection)
        return live.index.rsplit("-", 1)[-1], live.chunker, live.max_chars

    return read


def lengths(stored, source):
    return [len(chunk["text"]) for chunk in stored().values() if chunk["source"] == source]


def test_a_run_that_cuts_otherwise_says_so_once(folder, told, cut, stored):
    assert told(folder) == []
    assert cut() == ("v1", "sentence", 300)
    before = lengths(stored, "b.md")
    assert max(before) > 60
    (said,) = told(folder / "a.md", max_chars=60)
    assert said["log_level"] == "warning"
    assert (said["built_with"], said["now"]) == ("sentence, 300 characters", "sentence, 60 characters")
    assert "all others stay as they are" in said["meaning"]
    assert max(lengths(stored, "a.md")) <= 60
    assert lengths(stored, "b.md") == before, "what the run did not read is as it was"
    assert cut() == ("v1", "sentence", 300)
    (dry,) = told(folder, chunker="statute", dry_run=True)
    assert dry["now"] == "statute, 300 characters"

    assert told(folder, max_chars=60, recreate=True) == []
    assert cut() == ("v2", "sentence", 60)
    assert max(lengths(stored, "b.md")) <= 60
    assert told(folder, max_chars=60) == []


def test_a_collection_of_before_does_not_know(folder, told, cut, es, collection):
    told(folder)
    note(es[0], f"bothways-{collection}-v1", chunker=None, max_chars=None)
    assert cut() == ("v1", None, None)
    assert told(folder, chunker="statute") == []


def test_a_rebuild_that_goes_on_is_cut_by_the_last_run(folder, told, cut, build, es, collection):
    told(folder)
    with pytest.raises(KeyboardInterrupt):
        build(folder, writer=DyingWriter(), recreate=True)
    assert told(folder, max_chars=60, recreate=True) == []
    assert [(v.number, v.collection.max_chars) for v in list_versions(es[0], collection)] == [(1, 300), (2, 60)]
    assert cut() == ("v2", "sentence", 60)
