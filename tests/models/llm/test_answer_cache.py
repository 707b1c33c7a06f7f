import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from bothways.core.errors import SettingsError
from bothways.models.llm.answer_cache import AnswerCache, cache_key


def test_what_is_put_is_got_also_by_the_next_process(tmp_path):
    path = tmp_path / "deep" / "answers.sqlite"
    with AnswerCache(path) as cache:
        assert cache.get("k") is None
        cache.put("k", "一")
        cache.put("k", "二")
    with AnswerCache(path) as cache:
        assert cache.get("k") == "二"


def test_keys_keep_their_parts_apart():
    assert len(cache_key("a", "b")) == 64
    assert cache_key("a", "b") == cache_key("a", "b")
    assert len({cache_key("ab", "c"), cache_key("a", "bc"), cache_key("abc"), cache_key("ab", "c", "")}) == 4
    assert cache_key("\ud800")


def test_threads_share_one_cache(tmp_path):
    with AnswerCache(tmp_path / "a.sqlite") as cache, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: cache.put(str(i), str(i * i)), range(200)))
        assert list(pool.map(lambda i: cache.get(str(i)), range(200))) == [str(i * i) for i in range(200)]


def test_processes_share_one_cache(tmp_path):
    path = tmp_path / "a.sqlite"
    program = (
        "import sys, pathlib; from bothways.models.llm.answer_cache import AnswerCache\n"
        "with AnswerCache(pathlib.Path(sys.argv[1])) as c:\n"
        "    for i in range(100): c.put(f'{sys.argv[2]}-{i}', str(i))\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "ab"]
    with AnswerCache(path) as cache:
        assert [worker.wait(30) for worker in workers] == [0, 0]
        assert all(cache.get(f"{name}-{i}") == str(i) for name in "ab" for i in range(100))


def test_a_file_that_is_no_database_is_put_aside(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"not a database at all, only words" * 100)
    with capture_logs() as logs, AnswerCache(path) as cache:
        cache.put("k", "v")
        assert cache.get("k") == "v"
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("answer_cache.started_anew", "warning")]
    (aside,) = tmp_path.glob("a.sqlite.broken-*")
    assert aside.read_bytes().startswith(b"not a database")


def test_damage_that_shows_only_later_is_put_aside_too(tmp_path):
    path = tmp_path / "a.sqlite"
    with AnswerCache(path) as cache:
        for i in range(500):
            cache.put(cache_key(str(i)), "x" * 200)
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with capture_logs() as logs, AnswerCache(path) as cache:
        assert [cache.get(cache_key(str(i))) for i in range(500)].count(None) == 500
        cache.put("k", "v")
        assert cache.get("k") == "v"
    assert [entry["event"] for entry in logs] == ["answer_cache.started_anew"]


def test_a_full_disk_is_warned_about_once_and_ends_nothing(tmp_path):
    with capture_logs() as logs, AnswerCache(tmp_path / "a.sqlite") as cache:
        cache.put("before", "v")
        pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
        cache._connection.execute(f"PRAGMA max_page_count = {pages}")
        cache.put("big", "x" * 100_000)
        cache.put("big too", "x" * 100_000)
        assert cache.get("big") is None
        assert cache.get("before") == "v"
    assert [entry["event"] for entry in logs] == ["answer_cache.not_kept"]
    assert "full" in logs[0]["reason"]


def test_a_closed_cache_keeps_and_finds_nothing(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.close()
    cache.close()
    cache.put("k", "v")
    assert cache.get("k") is None


def test_a_place_that_cannot_be_written_is_a_settings_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="BOTHWAYS_CACHE_DIR"):
        AnswerCache(tmp_path / "file" / "a.sqlite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match="BOTHWAYS_CACHE_DIR"):
        AnswerCache(tmp_path / "folder")


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "a.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE answers (id INTEGER)")
    connection.close()
    with pytest.raises(SettingsError, match="no such column"):
        AnswerCache(path)
