"""What `make demo` does on the sample knowledge base: indexed with its questions, each first hit is right."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from bothways.core.settings import settings

pytestmark = pytest.mark.elasticsearch

SAMPLE = Path(__file__).parents[2] / "samples" / "handbook"


def test_every_first_hit_of_the_tour_is_right(run, collection, es_url, monkeypatch, capsys):
    questions = SAMPLE / "pseudo_questions.jsonl"
    code, _, err = run("index", SAMPLE / "docs", "--collection", collection, "--questions", questions)
    assert code == 0, err
    tour = runpy.run_path(str(SAMPLE / "tour.py"))
    tour["main"].__globals__["COLLECTION"] = collection
    settings.cache_clear()
    assert tour["main"]() == 0
    shown = capsys.readouterr().out
    assert shown.count("learned to answer") > 1
    bm25, hybrid = re.search(r"40 judged questions .*: BM25 (0\.\d+), hybrid (0\.\d+)\.", shown).groups()
    assert float(bm25) + 0.1 < float(hybrid) < 1
