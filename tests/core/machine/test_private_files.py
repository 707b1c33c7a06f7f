"""Files and folders for their owner alone, with a umask that would leave everything open."""

import os
import sqlite3
from contextlib import closing
from io import FileIO

import pytest

from bothways.core.analysis import Segmenter
from bothways.core.machine.private_files import (
    narrow_mode,
    open_private,
    private_file,
    private_folder,
    private_opener,
    private_umask,
    whole_folder,
    write_json,
    write_private,
)
from bothways.models.llm.answer_cache import AnswerCache


@pytest.fixture(autouse=True)
def _open_umask():
    old = os.umask(0)
    yield
    os.umask(old)


def mode(path):
    return path.stat().st_mode & 0o777


def open_to_others(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if mode(path) & 0o077)


def test_folders_are_private_all_the_way_down(tmp_path):
    private_folder(tmp_path / "a/b/c")
    assert not open_to_others(tmp_path)


def test_a_folder_of_ours_is_narrowed_and_one_that_was_named_is_not(tmp_path):
    (tmp_path / "ours").mkdir(mode=0o777)
    assert mode(private_folder(tmp_path / "ours")) == 0o700
    (tmp_path / "named").mkdir(mode=0o755)
    assert mode(private_folder(tmp_path / "named", narrow=False)) == 0o755


def test_a_file_is_private_however_it_is_written(tmp_path):
    with open_private(tmp_path / "new", encoding="utf-8") as file:
        file.write("x")
    write_private(tmp_path / "whole", "x")
    private_file(tmp_path / "empty")
    FileIO(tmp_path / "raw", "ab", opener=private_opener).close()
    (tmp_path / "wide").write_text("before")
    with open_private(tmp_path / "wide", "a") as file:
        file.write(" and after")
    assert (tmp_path / "wide").read_text() == "before and after"
    with private_umask():
        (tmp_path / "by-a-library").mkdir()
        (tmp_path / "by-a-library/file").write_text("x")
    assert not open_to_others(tmp_path)
    (tmp_path / "after").touch()
    assert mode(tmp_path / "after") == 0o666


def test_a_file_that_fails_to_be_written_leaves_the_old_one_alone(tmp_path):
    write_private(tmp_path / "whole", "old")
    with pytest.raises(TypeError):
        write_private(tmp_path / "whole", None)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    assert (tmp_path / "whole").read_text() == "old"


def test_narrowing_never_widens(tmp_path):
    (tmp_path / "file").touch(mode=0o400)
    narrow_mode(tmp_path / "file", 0o600)
    assert mode(tmp_path / "file") == 0o400


def test_a_cache_of_answers_is_private_with_all_its_files(tmp_path):
    with AnswerCache(tmp_path / "made/answers.sqlite") as cache:
        cache.put("a", "b")
        assert {path.name for path in (tmp_path / "made").iterdir()} > {"answers.sqlite", "answers.sqlite-wal"}
        assert not open_to_others(tmp_path)


def test_a_cache_that_was_open_is_narrowed(tmp_path):
    path = tmp_path / "answers.sqlite"
    with closing(sqlite3.connect(path)) as earlier:
        earlier.execute("PRAGMA journal_mode = WAL")
        earlier.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        assert open_to_others(tmp_path) == ["answers.sqlite", "answers.sqlite-shm", "answers.sqlite-wal"]
        with AnswerCache(path):
            assert not open_to_others(tmp_path)


def test_the_words_of_the_dictionary_are_private(tmp_path):
    Segmenter(cache_dir=tmp_path / "jieba").words("请假")
    assert list((tmp_path / "jieba").iterdir())
    assert not open_to_others(tmp_path)


def test_lines_and_json_are_written_whole(tmp_path):
    write_private(tmp_path / "lines", (f"{line}\n" for line in ("差", "旅")))
    write_json(tmp_path / "json", {"费": 1})
    assert (tmp_path / "lines").read_text("utf-8") == "差\n旅\n"
    assert (tmp_path / "json").read_text("utf-8") == '{\n "费": 1\n}\n'


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / ".made.part").mkdir()
    (tmp_path / ".made.part/of-a-killed-process").touch()
    with pytest.raises(IsADirectoryError), whole_folder(tmp_path / "made") as part:
        part.write_text("a folder is no file")
    assert not list(tmp_path.iterdir())
    with whole_folder(tmp_path / "made") as part:
        (part / "file").touch()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["made", "made/file"]
