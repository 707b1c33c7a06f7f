"""JSON and JSON lines: one document a record, and one failure a bad line."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from bothways.core.datatypes import Document, Failure
from bothways.indexer.read import document_id, read
from bothways.indexer.read.records import to_metadata


def read_file(
    folder: Path, content: str | bytes, name: str = "a.jsonl", max_file_mb: float = 1
) -> tuple[list[Document], list[Failure]]:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    failures: list[Failure] = []
    return list(read(folder / name, max_file_mb=max_file_mb, on_failure=failures.append)), failures


def test_a_beir_record_keeps_its_id(tmp_path: Path) -> None:
    [document], failures = read_file(
        tmp_path, '{"_id": "d7", "title": "第七条", "text": "甲。\\n乙。", "metadata": {"year": 2020}}'
    )
    assert document == Document(
        doc_id="d7",
        title="第七条",
        blocks=("甲。", "乙。"),
        source="a.jsonl",
        heading="第七条",
        metadata={"year": "2020"},
    )
    assert not failures


def test_a_plain_record(tmp_path: Path) -> None:
    [document], _ = read_file(tmp_path, '{"content": "甲。", "lang": "zh"}')
    assert document.doc_id == document_id("a.jsonl", None, 0)
    assert (document.title, document.heading, document.metadata) == ("a", "", {"lang": "zh"})


def test_bad_lines_are_named_by_number_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = [
        '{"text": "甲"}',
        '{"text": ',
        "",
        '{"title": "no text"}',
        "[1]",
        '{"text": 5, "body": "乙"}',
        '{"text": " "}',
    ]
    documents, failures = read_file(tmp_path, "\n".join(lines))
    assert [document.text for document in documents] == ["甲", "乙"]
    assert documents[1].doc_id == document_id("a.jsonl", None, 5)
    assert [failure.item for failure in failures] == ["a.jsonl"] * 4
    assert [failure.reason.split(" ")[:2] for failure in failures] == [["Line", n] for n in ("2", "4", "5", "7")]
    assert "not valid JSON" in failures[0].reason


def test_a_line_of_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    documents, [failure] = read_file(tmp_path, '{"text": "甲"}\n'.encode() + '{"text": "乙"}'.encode("gbk"))
    assert len(documents) == 1
    assert failure.reason == "Line 2 is not UTF-8."


def test_records_stream(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "甲"}\nbroken\n', encoding="utf-8")
    failures: list[Failure] = []
    documents = read(tmp_path / "a.jsonl", max_file_mb=1, on_failure=failures.append)
    assert next(documents).text == "甲"
    assert not failures


def test_a_large_file_passes_and_a_large_line_does_not(tmp_path: Path) -> None:
    small = json.dumps({"text": "x" * 50}) + "\n"
    large = json.dumps({"text": "x" * 5_000}) + "\n"
    documents, [failure] = read_file(tmp_path, small * 40 + large + small, max_file_mb=0.001)
    assert len(documents) == 41
    assert failure.reason.startswith("Line 41 is longer")


def test_a_file_without_any_json_is_given_up(tmp_path: Path) -> None:
    documents, failures = read_file(tmp_path, "no json\n" * 5_000)
    assert not documents
    assert len(failures) == 101
    assert "None of the first 100 lines" in failures[-1].reason


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    documents, [failure] = read_file(tmp_path, " \n", name)
    assert not documents
    assert "is empty" in failure.reason


def test_marks_at_the_start(tmp_path: Path) -> None:
    assert len(read_file(tmp_path, codecs.BOM_UTF8 + b'{"text": "a"}')[0]) == 1
    assert len(read_file(tmp_path, codecs.BOM_UTF8 + b'[{"text": "a"}]', "a.json")[0]) == 1
    _, [failure] = read_file(tmp_path, '{"text": "a"}'.encode("utf-16"))
    assert "UTF-16" in failure.reason


def test_a_json_array_an_object_and_lines_under_the_wrong_name(tmp_path: Path) -> None:
    array, [failure] = read_file(
        tmp_path, '[{"text": "a", "x": 1.5}, {"title": "t"}, {"text": "b", "id": 9}]', "a.json"
    )
    assert [(d.doc_id, dict(d.metadata)) for d in array] == [(document_id("a.json", None, 0), {"x": "1.5"}), ("9", {})]
    assert failure.reason.startswith("Record 2 has no text")
    assert len(read_file(tmp_path, '{\n "text": "a"\n}', "a.json")[0]) == 1
    assert len(read_file(tmp_path, '{"text": "a"}\n{"text": "b"}', "a.json")[0]) == 2


def test_a_json_file_that_breaks_off(tmp_path: Path) -> None:
    documents, [failure] = read_file(tmp_path, '[{"text": "a"}, {"text": ', "a.json")
    assert len(documents) == 1
    assert "not valid JSON after record 1" in failure.reason
    _, [failure] = read_file(tmp_path, '{"text": ', "a.json")
    assert failure.reason.startswith("The file is not valid JSON")
    _, [failure] = read_file(tmp_path, "[]", "a.json")
    assert "is empty" in failure.reason


def test_a_deep_nest_and_half_surrogates_do_no_harm(tmp_path: Path) -> None:
    documents, failures = read_file(tmp_path, "[" * 100_000 + "\n" + '{"text": "a\\ud800b", "k": "\\udfff"}')
    assert len(failures) == 1
    documents[0].text.encode()
    documents[0].metadata["k"].encode()
    assert len(read_file(tmp_path, "[" * 100_000, "a.json")[1]) == 1


def test_an_id_that_elasticsearch_would_refuse(tmp_path: Path) -> None:
    documents, [failure] = read_file(tmp_path, json.dumps({"_id": "法" * 200, "text": "a"}))
    assert not documents
    assert "480 bytes" in failure.reason


def test_metadata_are_strings_under_names_that_elasticsearch_takes() -> None:
    fields = {
        "a.b": "x",
        "_c": 1,
        "": "dropped",
        "yes": True,
        "tags": ["p", 2, ["deep"], "p", ""],
        "one": ["a, b"],
        "author": {"name": "Li", "more": {"deep": 1}},
        "none": None,
        "blank": " ",
    }
    expected = {"a_b": "x", "c": "1", "yes": "true", "tags": ("p", "2"), "one": "a, b", "author_name": "Li"}
    assert to_metadata(fields) == expected
