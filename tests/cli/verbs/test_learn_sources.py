"""What `bothways learn reranker` and the distillations read first: their sources, and what they are kept from."""

from __future__ import annotations

import json

import pytest

from bothways.cli.verbs.learn_sources import read_sources
from bothways.core.errors import UsageError
from bothways.evaluation.judged.queries import split_of

IDS = [f"q{number}" for number in range(40)]


@pytest.fixture
def beir(tmp_path):
    rows = [json.dumps({"_id": name, "text": f"问题{name}"}, ensure_ascii=False) for name in IDS]
    (tmp_path / "queries.jsonl").write_text("\n".join(rows), "utf-8")
    lines = [f"{name}\td-{name}\t{grade}" for name in IDS for grade in (1,)] + [f"{IDS[0]}\td-none\t0"]
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n", "utf-8")
    return tmp_path


def test_the_dev_split_is_kept_out_and_not_learnt_from(beir):
    sources = read_sources([], [f"{beir}@law"], [], [], "train")
    dev = {f"问题{name}" for name in IDS if split_of(name) == "dev"}
    [judged] = sources.judged
    assert 0 < len(dev) < 40
    assert set(sources.keep_out) == dev
    assert {text for _, text, _ in judged.queries} == {f"问题{name}" for name in IDS} - dev
    assert (judged.collection, judged.kind) == ("law", "judged")
    assert all(documents == {f"d-{query_id}"} for query_id, _, documents in judged.queries), "grade 0 is no answer"
    assert set(sources.fingerprints) == {f"{beir}/queries.jsonl", f"{beir}/qrels.tsv"}


def test_one_folder_asked_of_two_collections_is_two_sources(beir):
    sources = read_sources([], [f"{beir}@law", f"{beir}@cases"], [], [], "train")
    assert [one.name for one in sources.judged] == [str(beir), f"{beir}@cases"]
    assert [one.collection for one in sources.judged] == ["law", "cases"]


def test_all_of_it_and_clicks_have_no_split(beir):
    for sources in (
        read_sources(["law"], [str(beir)], [], [], "all"),
        read_sources(["law"], [], [str(beir)], [], "train"),
    ):
        assert len(sources.judged[0].queries) == 40
        assert sources.keep_out == []
    assert sources.judged[0].kind == "clicks"


def test_files_to_keep_out(beir):
    assert len(read_sources(["law"], [], [], [beir / "queries.jsonl"], "train").keep_out) == 40


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (([], [], [], [], "train"), "nothing to learn from"),
        ((["law"], ["missing@law"], [], [], "train"), "is no BEIR folder"),
        ((["law", "stard"], ["folder"], [], [], "train"), "folder@COLLECTION"),
        (([], ["folder"], [], [], "train"), "folder@COLLECTION"),
    ],
)
def test_what_cannot_be_read_is_told(given, told):
    with pytest.raises(UsageError, match=told):
        read_sources(*given)
