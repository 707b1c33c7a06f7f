"""What every chunk of a document carries is bounded, so that no small file becomes gigabytes of index."""

from __future__ import annotations

import json

from bothways.indexer.read.files.metadata import MOST_METADATA, MOST_TITLE
from tests.indexer.reading import Reading


def test_a_title_of_a_megabyte(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(f"# {'题' * 300_000}\n\n正文。\n", encoding="utf-8")
    found = Reading(path)
    (document,) = found.documents
    assert (document.title, document.heading) == ("题" * MOST_TITLE, "题" * MOST_TITLE)
    assert document.blocks == ("正文。",)
    assert found.skipped == ["A title has more than 1,000 characters: only the first 1,000 are indexed."]


def test_metadata_of_a_megabyte(tmp_path):
    path = tmp_path / "a.jsonl"
    record = {"text": "正文。", "law": "民法典", "huge": "x" * 100_000, "many": ["y" * 1_000] * 2 + ["z" * 70_000]}
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    found = Reading(path)
    (document,) = found.documents
    assert document.metadata == {"law": "民法典"}
    assert found.skipped == ["Metadata of more than 65,536 characters is left out: huge, many."]


def test_what_is_usual_stays_as_it_is(tmp_path):
    path = tmp_path / "a.jsonl"
    metadata = {"law": "民法典", "tags": ["甲", "乙"], "note": "x" * (MOST_METADATA - 100)}
    path.write_text(json.dumps({"title": "题" * MOST_TITLE, "text": "正文。", **metadata}) + "\n", encoding="utf-8")
    found = Reading(path)
    (document,) = found.documents
    assert document.metadata == {**metadata, "tags": ("甲", "乙")}
    assert (len(document.title), found.skipped) == (MOST_TITLE, [])
