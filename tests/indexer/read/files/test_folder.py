"""What a folder gives: order, names, ids, and what is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bothways.core.datatypes import Document, Failure
from bothways.core.errors import UsageError
from bothways.indexer.read import document_id, read
from bothways.indexer.read.files import folder as folder_module


class Reading:
    """All that reading a path gave."""

    def __init__(self, path: Path, max_file_mb: float = 1.0) -> None:
        self.failures: list[Failure] = []
        self.skipped: dict[str, str] = {}
        self.documents: list[Document] = list(
            read(path, max_file_mb=max_file_mb, on_failure=self.failures.append, on_skip=self.skipped.__setitem__)
        )

    @property
    def sources(self) -> list[str]:
        return [document.source for document in self.documents]


def test_files_come_sorted_with_relative_names_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    for name in ("b/z.txt", "b/a.txt", "a.txt", ".git/config.txt", ".hidden.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("内容。", encoding="utf-8")
    reading = Reading(tmp_path)
    assert reading.sources == ["a.txt", "b/a.txt", "b/z.txt"]
    assert not reading.skipped
    assert not reading.failures


def test_a_single_file_is_known_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "笔记.txt"
    file.write_text("内容。", encoding="utf-8")
    [document] = Reading(file).documents
    assert document.source == "笔记.txt"
    assert document.doc_id == document_id("笔记.txt")


def test_document_ids_are_stable_across_machines() -> None:
    assert document_id("law/民法典.txt", None, 3) == "d22ee11cad42d486645056b2d90f9e236683c517"
    assert document_id("caf\u00e9.txt") == document_id("cafe\u0301.txt")
    ids = {document_id("a", None, None), document_id("a", 1, None), document_id("a", None, 1), document_id("b")}
    assert len(ids) == 4


def test_an_unknown_type_is_skipped_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    (tmp_path / "Makefile").write_text("all:", encoding="utf-8")
    reading = Reading(tmp_path)
    assert set(reading.skipped) == {"photo.png", "Makefile"}
    assert not reading.failures
    assert not reading.documents


def test_a_missing_path_is_a_usage_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file or folder"):
        read(tmp_path / "gone", max_file_mb=1, on_failure=print)


def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    (tmp_path / "b.txt").write_text("内容。", encoding="utf-8")
    reading = Reading(tmp_path)
    assert reading.failures == [Failure(stage="read", item="a.txt", reason="The file is empty.")]
    assert reading.sources == ["b.txt"]


def test_a_huge_file_is_refused_by_the_name_of_the_setting(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 2_000)
    [failure] = Reading(tmp_path, max_file_mb=0.001).failures
    assert "BOTHWAYS_MAX_FILE_MB" in failure.reason


def test_link_loops_end_and_broken_links_are_failures(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("内容。", encoding="utf-8")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "broken.txt").symlink_to(tmp_path / "gone.txt")
    reading = Reading(tmp_path)
    assert reading.sources == ["sub/a.txt"]
    assert [failure.item for failure in reading.failures] == ["broken.txt"]


def test_folders_nested_deeper_than_a_path_may_be_long_end_in_a_named_failure(tmp_path: Path) -> None:
    (tmp_path / "z.txt").write_text("last")
    here = os.open(tmp_path, os.O_RDONLY)
    for level in range(2_500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        if level == 1_200:
            with os.fdopen(os.open("deep.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as file:
                file.write("deep")
    os.close(here)
    found = Reading(tmp_path)
    assert found.sources == ["d/" * 1_201 + "deep.txt", "z.txt"]
    (failure,) = found.failures
    assert failure.item.startswith("d/d/d/")
    assert "name too long" in failure.reason
    _remove_nested(tmp_path)


def _remove_nested(folder: Path) -> None:
    """Take folders apart from above; pytest removes by recursion, which such a depth ends."""
    while (folder / "d").exists():
        (folder / "d").rename(folder / "gone")
        for entry in (folder / "gone").iterdir():
            entry.rename(folder / entry.name)
        (folder / "gone").rmdir()


def test_a_name_that_is_no_utf_8_is_escaped(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/bad\xff.txt"
    try:
        Path(os.fsdecode(name)).write_text("内容。", encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    [document] = Reading(tmp_path).documents
    assert document.source == r"bad\xff.txt"
    document.source.encode()


def test_an_unreadable_file_or_folder_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.txt").write_text("内容。", encoding="utf-8")
    (tmp_path / "b.txt").write_text("内容。", encoding="utf-8")
    read_bytes, iterdir = Path.read_bytes, Path.iterdir

    def refuse_bytes(self: Path) -> bytes:
        if self.name == "a.txt":
            raise PermissionError(13, "Permission denied")
        return read_bytes(self)

    def refuse_folder(self: Path) -> object:
        if self.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterdir(self)

    monkeypatch.setattr(Path, "read_bytes", refuse_bytes)
    monkeypatch.setattr(Path, "iterdir", refuse_folder)
    reading = Reading(tmp_path)
    assert [(f.item, "Permission denied" in f.reason) for f in reading.failures] == [("a.txt", True), ("locked", True)]
    assert reading.sources == ["b.txt"]


def test_a_fifo_is_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert Reading(tmp_path).skipped == {"pipe.txt": "It is not a regular file."}


def test_in_a_beir_folder_only_the_corpus_is_read(tmp_path: Path) -> None:
    record = json.dumps({"_id": "d1", "title": "题", "text": "内容。"}, ensure_ascii=False)
    (tmp_path / "corpus.jsonl").write_text(record + "\n", encoding="utf-8")
    (tmp_path / "train").mkdir()
    for name in ("README.txt", "pseudo_questions.jsonl", "train/queries.jsonl"):
        (tmp_path / name).write_text('{"_id": "d1", "text": "问"}', encoding="utf-8")
    reading = Reading(tmp_path)
    assert [document.doc_id for document in reading.documents] == ["d1"]
    assert set(reading.skipped) == {"README.txt", "pseudo_questions.jsonl", "train/queries.jsonl"}


RECORD = json.dumps({"_id": "d1", "title": "题", "text": "内容。"}, ensure_ascii=False)


def test_a_corpus_without_judgements_is_one_file_among_others(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(RECORD + "\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    for name in ("leave.txt", "sub/travel.md"):
        (tmp_path / name).write_text("员工请假应当提前三天提交申请。", encoding="utf-8")
    reading = Reading(tmp_path)
    assert reading.sources == ["corpus.jsonl", "leave.txt", "sub/travel.md"]
    assert not reading.skipped


@pytest.mark.parametrize(
    "judgements", ["queries.jsonl", "qrels/test.tsv", "qrels.tsv", "dev/qrels.tsv", "dev/queries.jsonl"]
)
def test_judgements_beside_it_or_one_folder_below_make_a_beir_folder(tmp_path: Path, judgements: str) -> None:
    (tmp_path / "corpus.jsonl").write_text(RECORD + "\n", encoding="utf-8")
    (tmp_path / "README.txt").write_text("关于数据。", encoding="utf-8")
    (tmp_path / judgements).parent.mkdir(exist_ok=True)
    (tmp_path / judgements).write_text('{"_id": "q1", "text": "问"}', encoding="utf-8")
    reading = Reading(tmp_path)
    assert reading.sources == ["corpus.jsonl"]
    assert set(reading.skipped) == {"README.txt", judgements}


def test_judgements_of_a_corpus_below_are_not_those_of_the_corpus_above(tmp_path: Path) -> None:
    for name in ("corpus.jsonl", "leave.txt", "set/corpus.jsonl", "set/queries.jsonl", "set/README.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(RECORD, encoding="utf-8")
    reading = Reading(tmp_path)
    assert reading.sources == ["corpus.jsonl", "leave.txt", "set/corpus.jsonl"]
    assert set(reading.skipped) == {"set/README.txt", "set/queries.jsonl"}


def test_files_of_questions_are_no_documents_anywhere(tmp_path: Path) -> None:
    (tmp_path / "pseudo_questions.jsonl").write_text('{"text": "问"}', encoding="utf-8")
    assert list(Reading(tmp_path).skipped) == ["pseudo_questions.jsonl"]


def test_a_corpus_without_ids_makes_no_beir_folder(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"text": "甲"}', encoding="utf-8")
    assert folder_module.is_beir(tmp_path) is None


def test_one_file_is_read_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("内容。", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"")
    failures: list[Failure] = []
    documents = read(tmp_path, max_file_mb=1, on_failure=failures.append)
    assert next(documents).source == "a.txt"
    assert not failures
    assert list(documents) == []
    assert len(failures) == 1
