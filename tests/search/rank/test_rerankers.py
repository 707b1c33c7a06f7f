from __future__ import annotations

from dataclasses import replace

import pytest

from bothways.core.collections.collection import from_mapping
from bothways.core.errors import ModelError
from bothways.search.rank.rerank import Reranker
from bothways.search.rank.rerankers import KEPT, Rerankers, load_learnt
from tests.fakes import OverlapCrossEncoder
from tests.search.states import COLLECTION as LAW

USUAL = Reranker(OverlapCrossEncoder())


class Loads:
    """Gives a reranker of a folder's own, and keeps what was asked for."""

    def __init__(self, broken=()):
        self.folders = []
        self.broken = broken

    def __call__(self, folder):
        self.folders.append(folder)
        if folder in self.broken:
            raise ModelError(f"{folder} is broken.")
        return Reranker(OverlapCrossEncoder())


def test_the_mapping_names_it():
    assert from_mapping("law", "i", {"_meta": {"reranker": "/models/x"}}).reranker == "/models/x"
    assert from_mapping("law", "i", {}).reranker == ""


def test_a_collection_without_one_has_the_usual():
    loads = Loads()
    assert Rerankers(lambda: USUAL, loads).of(LAW)() is USUAL
    assert loads.folders == []


def test_a_learnt_one_is_loaded_once_and_serves_its_collection_alone():
    loads = Loads()
    rerankers = Rerankers(lambda: USUAL, loads)
    learnt = replace(LAW, reranker="/models/a")
    first = rerankers.of(learnt)()
    assert first is not USUAL
    assert rerankers.of(replace(learnt, index="bothways-law-v2"))() is first
    assert rerankers.of(LAW)() is USUAL
    assert loads.folders == ["/models/a"]


def test_one_that_is_not_here_leaves_searches_as_they_were():
    rerankers = Rerankers(lambda: USUAL, Loads(broken={"/models/a"}))
    assert rerankers.of(replace(LAW, reranker="/models/a"))() is USUAL


def test_few_are_kept():
    loads = Loads()
    rerankers = Rerankers(lambda: USUAL, loads)
    for number in range(KEPT + 1):
        rerankers.of(replace(LAW, reranker=f"/models/{number}"))()
    rerankers.of(replace(LAW, reranker=f"/models/{KEPT}"))()
    assert len(loads.folders) == KEPT + 1
    rerankers.of(replace(LAW, reranker="/models/0"))()
    assert loads.folders[-1] == "/models/0"


@pytest.mark.parametrize("folder", ["models/x", "BAAI/bge-reranker-base", "/no/such/folder"])
def test_only_a_folder_of_this_machine_is_loaded(folder):
    with pytest.raises(ModelError, match="no folder of this machine"):
        load_learnt(lambda _: OverlapCrossEncoder(), folder, cache_size=0)


def test_a_folder_is(tmp_path):
    assert load_learnt(lambda _: OverlapCrossEncoder(), str(tmp_path), cache_size=0).name == "fake/overlap"
