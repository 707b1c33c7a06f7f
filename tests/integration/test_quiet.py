"""A build without refreshes and replicas, and that it ends, however the build does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bothways.core.collections.collection import list_collections, open_collection
from bothways.core.elastic.build_mode import UNMERGED, WHEN_BUILT, begin_build, end_build, is_building, without_graphs
from bothways.indexer.versions.versions import chunk_mapping, create_version, note

pytestmark = [pytest.mark.elasticsearch, pytest.mark.undisturbed]

ROWS = 600

DYING = """
import sys
import time
from pathlib import Path
from bothways.core.analysis import Segmenter
from bothways.node.connect import connect
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions, Parts
from tests.fakes import HashEncoder

folder, collection, url, recreate = sys.argv[1:]


class Waits(HashEncoder):
    # Goes on until something is in Elasticsearch, then waits to be killed.
    def encode_documents(self, texts):
        if len(self.batches) >= 4:
            while not self.sent():
                time.sleep(0.05)
            print("waiting", flush=True)
            sys.stdin.read()
        return super().encode_documents(texts)

    def sent(self):
        index = f"bothways-{collection}-v{2 if recreate == 'yes' else 1}"
        return client.indices.stats(index=index, metric="indexing")["_all"]["primaries"]["indexing"]["index_total"]


client, server = connect(load_settings(es_url=url))
encoder = Waits()
parts = Parts(
    client=client, server=server, segmenter=Segmenter(cache_dir=Path(folder).parent), encoder=lambda: encoder,
    embedding_model="fake/hash",
)
index_path(Path(folder), JobOptions(collection=collection, recreate=recreate == "yes"), parts)
"""


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    rows = (json.dumps({"_id": f"r{i}", "text": f"第{i}条记录的内容。"}) + "\n" for i in range(ROWS))
    (source / "c.jsonl").write_text("".join(rows), encoding="utf-8")
    return source


@pytest.fixture
def killed(folder, collection, es_url):
    """Run a build in a process of its own, and kill -9 it in the middle: `killed(recreate=...)`."""

    def run(*, recreate=False):
        command = [sys.executable, "-c", DYING, str(folder), collection, es_url, "yes" if recreate else "no"]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as job:
            assert job.stdout.readline() == b"waiting\n"
            job.kill()
            assert job.wait(20) == -signal.SIGKILL

    return run


def settings_of(client, index):
    found = client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]
    return found.get("index.refresh_interval"), found.get("index.auto_expand_replicas")


def meta_of(client, index):
    return client.indices.get_mapping(index=index)[index]["mappings"]["_meta"]


def segments(client, index):
    return len(client.cat.segments(index=index, format="json"))


def index_options(client, index):
    fields = client.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    vectors = (fields["text_sem"], fields["questions"]["properties"]["text_sem"])
    return tuple((options["type"], options.get("m")) for options in (vector["index_options"] for vector in vectors))


GRAPH = ("int8_hnsw", 16)
FLAT = ("int8_flat", None)
USUAL = (None, "0-1")
QUIET = ("-1", "false")


def test_an_index_gets_back_what_it_had(es, collection):
    client, _ = es
    mapping = chunk_mapping(embedding_model="m", dimension=8, analyzer="jieba-cut")
    mapping["settings"] |= {"refresh_interval": "7s", "auto_expand_replicas": "false", "number_of_replicas": 2}
    index = create_version(client, f"bothways-{collection}", without_graphs(mapping))
    assert index_options(client, index) == (FLAT, FLAT)
    before = client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]
    begin_build(client, index)
    assert settings_of(client, index) == QUIET
    assert client.indices.get_settings(index=index, name="index.number_of_replicas", flat_settings=True)[index][
        "settings"
    ] == {"index.number_of_replicas": "0"}
    note(client, index, failed_check=None)  # others write into `_meta` too
    assert end_build(client, index) is True
    after = client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]
    assert after == before
    assert index_options(client, index) == (GRAPH, GRAPH)
    assert WHEN_BUILT not in meta_of(client, index)
    assert meta_of(client, index)["embedding_model"] == "m"
    assert end_build(client, index) is False


def test_an_index_that_died_before_it_was_quiet_gets_its_graphs(es, collection):
    client, _ = es
    mapping = chunk_mapping(embedding_model="m", dimension=8, analyzer="jieba-cut")
    index = create_version(client, f"bothways-{collection}", without_graphs(mapping))
    assert is_building(meta_of(client, index))
    assert end_build(client, index) is True
    assert index_options(client, index) == (GRAPH, GRAPH)
    assert settings_of(client, index) == USUAL


def test_a_build_is_quiet_and_a_finished_one_is_not(folder, build, es, collection, encoder):
    client, _ = es
    seen = []
    original = encoder.encode_documents

    def noting(texts):
        newest = max(client.indices.get(index=f"bothways-{collection}-v*").body)
        seen.append((newest[-1], settings_of(client, newest)))
        return original(texts)

    encoder.encode_documents = noting
    build(folder)
    assert set(seen) == {("1", QUIET)}
    assert settings_of(client, f"bothways-{collection}-v1") == USUAL
    seen.clear()
    build(folder, recreate=True)
    assert seen[0] == ("2", QUIET)
    assert settings_of(client, f"bothways-{collection}-v2") == USUAL
    assert not is_building(meta_of(client, f"bothways-{collection}-v2"))
    assert index_options(client, f"bothways-{collection}-v2") == (GRAPH, GRAPH)


def test_a_finished_build_is_one_segment_and_an_update_is_not_merged(folder, build, es, collection):
    client, _ = es
    index = f"bothways-{collection}-v1"
    build(folder)
    assert segments(client, index) == 1
    (folder / "more.txt").write_text("新的一份文件。", encoding="utf-8")
    build(folder)
    assert segments(client, index) == 2


def test_the_live_index_that_is_updated_stays_searchable(folder, build, es, collection, encoder):
    client, _ = es
    build(folder)
    (folder / "more.txt").write_text("新的一份文件。", encoding="utf-8")
    seen = []
    original = encoder.encode_documents

    def noting(texts):
        seen.append(settings_of(client, f"bothways-{collection}-v1"))
        return original(texts)

    encoder.encode_documents = noting
    build(folder)
    assert set(seen) == {USUAL}


def test_the_next_run_ends_the_quiet_of_a_first_build_that_was_killed(killed, folder, build, es, collection, encoder):
    client, _ = es
    index = f"bothways-{collection}-v1"
    killed()
    assert settings_of(client, index) == QUIET
    assert index_options(client, index) == (FLAT, FLAT)
    report = build(folder)
    assert settings_of(client, index) == USUAL
    assert index_options(client, index) == (GRAPH, GRAPH)
    assert segments(client, index) == 1
    assert UNMERGED not in meta_of(client, index)
    assert 0 < report.unchanged < ROWS
    assert report.unchanged + report.indexed == ROWS
    assert client.count(index=index)["count"] == ROWS


@pytest.mark.parametrize("look", ["open", "list"])
def test_whoever_looks_at_a_first_build_that_was_killed_finds_what_it_had_sent(killed, es, collection, look):
    client, _ = es
    index = f"bothways-{collection}-v1"
    killed()
    assert client.count(index=index)["count"] == 0
    if look == "open":
        open_collection(client, collection)
    else:
        [row] = [row for row in list_collections(client) if row[0].name == collection]
        assert row[2] > 0
    assert settings_of(client, index) == USUAL
    assert 0 < client.count(index=index)["count"] < ROWS
    assert meta_of(client, index)[UNMERGED] is True  # the run that completes it does that


def test_a_rebuild_that_was_killed_is_woken_when_it_goes_live(killed, folder, build, es, collection):
    client, _ = es
    build(folder)
    killed(recreate=True)
    rebuilt = f"bothways-{collection}-v2"
    assert settings_of(client, rebuilt) == QUIET
    assert open_collection(client, collection).index == f"bothways-{collection}-v1"
    assert settings_of(client, rebuilt) == QUIET
    report = build(folder, recreate=True)
    assert (report.index, report.held) == (rebuilt, "")
    assert report.unchanged > 0
    assert settings_of(client, rebuilt) == USUAL
    assert segments(client, rebuilt) == 1
    assert client.count(index=f"bothways-{collection}")["count"] == ROWS
