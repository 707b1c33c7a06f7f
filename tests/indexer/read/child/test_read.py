"""Reading in a process of its own: no file ends or blocks the job, whatever it does to the process that reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from bothways.core.errors import JobCancelledError, ReaderError, UsageError
from bothways.indexer.chunk import chunk
from bothways.indexer.read import read
from bothways.indexer.read.child import pool
from bothways.indexer.read.child.frames import Cut
from bothways.indexer.read.child.pool import end_readers, start_reader
from bothways.indexer.read.child.process import AHEAD
from bothways.indexer.read.child.read import ReadOptions, chunks_in_child, read_in_child
from tests.indexer.hostile.pdfs import page, stream
from tests.waiting import until

SAMPLES = Path(__file__).parents[4] / "samples"
HANDBOOK, FORMATS = SAMPLES / "handbook" / "docs", SAMPLES / "formats" / "docs"


@pytest.fixture(autouse=True)
def _fresh():
    """Each test has processes of its own, and leaves none."""
    end_readers()
    yield
    end_readers()
    assert not readers()


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Have the library of Word files be some other code: `library("os._exit(3)")`."""

    def write(code):
        folder = tmp_path / "libraries"
        folder.mkdir()
        (folder / "docx.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(folder)

    return write


@pytest.fixture
def folder(tmp_path):
    """A folder of a file before, a Word file and a file after."""
    made = tmp_path / "docs"
    made.mkdir()
    for name in ("a.txt", "m.docx", "z.txt"):
        (made / name).write_text(f"{name} 的内容。", encoding="utf-8")
    return made


def apart(path, **how):
    return read_in_child(path, ReadOptions(**how))


class Apart:
    """What reading in another process gave, in order."""

    def __init__(self, path, *, look=lambda: None, timeout_s=60, memory_mb=2000):
        self.failures, self.skipped = [], []
        self.documents = list(
            apart(
                path,
                max_file_mb=200,
                on_failure=self.failures.append,
                on_skip=lambda *what: self.skipped.append(what),
                timeout_s=timeout_s,
                memory_mb=memory_mb,
                look=look,
            )
        )

    @property
    def sources(self):
        return [document.source for document in self.documents]


def readers():
    """The processes that read for this one, dead ones that nobody asked after included."""
    found = []
    for process in psutil.Process().children():
        try:
            command = process.cmdline()
        except psutil.ZombieProcess:
            found.append(process)
            continue
        found += [process] if "bothways.indexer.read.child.worker" in command else []
    return found


@pytest.mark.parametrize("path", [HANDBOOK, FORMATS, FORMATS / "电梯检修.eml"], ids=["md", "formats", "mail"])
def test_the_same_documents_as_in_this_process(path):
    assert Apart(path).documents == list(read(path, max_file_mb=200, on_failure=print))


@pytest.mark.parametrize("chunker", ["sentence", "section", "statute"])
def test_the_same_chunks_as_in_this_process(chunker):
    counted = []
    how = ReadOptions(max_file_mb=200, on_failure=print)
    found = list(chunks_in_child(HANDBOOK, how, Cut(chunker, 80), lambda: counted.append(1)))
    documents = list(read(HANDBOOK, max_file_mb=200, on_failure=print))
    assert found == list(chunk(documents, chunker, max_chars=80))
    assert len(counted) == len(documents)


def test_cutting_is_the_file_s_time_too(tmp_path):
    """A million lines of one character each: minutes of cutting, in which a job would not see that it is cancelled."""
    (tmp_path / "a.txt").write_text("好\n\n" * 300_000, encoding="utf-8")
    (tmp_path / "b.txt").write_text("好。", encoding="utf-8")
    failures = []
    how = ReadOptions(max_file_mb=200, on_failure=failures.append, timeout_s=1)
    assert [piece.source for piece in chunks_in_child(tmp_path, how, Cut("sentence", 300))] == ["b.txt"]
    assert ["too long until its next document" in failure.reason for failure in failures] == [True]


def test_forms_that_draw_each_other_are_ended_by_the_limit(tmp_path):
    """Ten levels of forms that each draw the next one ten times: a PDF of 2 KB with 10,000,000,000 words."""
    kind = b"/Type/XObject/Subtype/Form/BBox[0 0 900 900]/Resources<</Font<</F 5 0 R>>/XObject<</X %d 0 R>>>>"
    forms = {6 + level: stream(b"/X Do " * 10, kind % (7 + level)) for level in range(10)}
    forms[16] = stream(b"BT /F 8 Tf 50 700 Td (x) Tj ET", kind % 16)
    (tmp_path / "a.pdf").write_bytes(page(b"/X Do", resources=b"/XObject<</X 6 0 R>>", more=forms))
    (tmp_path / "b.txt").write_text("好。", encoding="utf-8")
    found = Apart(tmp_path, timeout_s=1)
    assert found.sources == ["b.txt"]
    [failure] = found.failures
    assert (failure.stage, failure.item) == ("read", "a.pdf")
    assert "too long until its next document" in failure.reason


def test_failures_and_skips_keep_their_order(tmp_path):
    for number in range(3 * AHEAD):
        (tmp_path / f"{number:03}.txt").write_text("" if number % 3 == 1 else "好。", encoding="utf-8")
        (tmp_path / f"{number:03}.xyz").write_text("x", encoding="utf-8")
    told = []
    tell = told.append
    for document in apart(
        tmp_path,
        max_file_mb=1,
        on_failure=lambda failure: tell(failure.item),
        on_skip=lambda item, _: tell(item),
    ):
        tell(document.source)
    assert told == [f"{number:03}.{kind}" for number in range(3 * AHEAD) for kind in ("txt", "xyz")]


def test_options_reach_the_readers(tmp_path):
    (tmp_path / "a.txt").write_text("好" * 500_000, encoding="utf-8")
    failures = []
    assert not list(apart(tmp_path, max_file_mb=0.5, on_failure=failures.append))
    assert "BOTHWAYS_MAX_FILE_MB" in failures[0].reason
    with pytest.raises(UsageError, match="no file or folder"):
        apart(tmp_path / "none", max_file_mb=1, on_failure=failures.append)


def test_names_that_are_no_text(tmp_path):
    (tmp_path / os.fsdecode(b"\xff\xfe.txt")).write_text("好。", encoding="utf-8")
    (document,) = Apart(tmp_path).documents
    assert document.source == "\\xff\\xfe.txt"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise RuntimeError('code=4: no such thing')", "RuntimeError: code=4: no such thing."),
        ("raise AssertionError", "cannot be read: AssertionError."),
        ("raise KeyError('word/document.xml')", "KeyError: 'word/document.xml'."),
        ("raise MemoryError", "memory"),
        ("raise SystemExit(0)", "SystemExit: 0."),
        ("raise KeyboardInterrupt", "KeyboardInterrupt."),
        ("def deeper(): deeper()\ndeeper()", "nested too deeply"),
        ("raise OSError(5, 'Input/output error')", "cannot be opened: Input/output error."),
        ("import os; os._exit(0)", "ended with exit code 0."),
        ("import os; os._exit(3)", "ended with exit code 3."),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
    ],
)
def test_whatever_happens_over_a_file_is_its_failure(library, folder, code, says):
    library(code)
    found = Apart(folder)
    assert found.sources == ["a.txt", "z.txt"]
    [failure] = found.failures
    assert (failure.stage, failure.item) == ("read", "m.docx")
    assert says in failure.reason
    assert "Traceback" not in failure.reason


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(600)",
        "import re; re.match('(a+)+$', 'a' * 64 + 'b')",  # lets no other thread of its process run
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.pause()",
    ],
    ids=["works", "sleeps", "holds the interpreter", "waits"],
)
def test_a_file_that_hangs_is_given_up(library, folder, code):
    library(code)
    found = Apart(folder, timeout_s=0.5)
    assert found.sources == ["a.txt", "z.txt"]
    assert ["too long until its next document" in failure.reason for failure in found.failures] == [True]
    assert found.failures[0].item == "m.docx"


def test_what_was_read_of_a_file_before_it_hangs_is_kept(tmp_path):
    path = tmp_path / "endless.jsonl"
    os.mkfifo(path)
    writer = threading.Thread(target=_write_some_and_wait, args=(path, stop := threading.Event()))
    writer.start()
    try:
        found = Apart(path, timeout_s=1)
    finally:
        stop.set()
        writer.join(20)
    assert [document.doc_id for document in found.documents] == ["d0", "d1", "d2"]
    assert "read before is kept (documents: 3)" in found.failures[0].reason


def _write_some_and_wait(path, stop):
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(f'{{"_id": "d{number}", "text": "好。"}}\n' for number in range(3))
        lines.flush()
        stop.wait(60)


def test_a_busy_caller_is_not_the_file_s_time(tmp_path):
    """More than a pipe holds is waiting for a caller that does something else for longer than a file may take."""
    text = "好" * 10_000
    (tmp_path / "a.jsonl").write_text(f'{{"text": "{text}"}}\n' * 40, encoding="utf-8")
    failures = []
    documents = apart(tmp_path, max_file_mb=10, on_failure=failures.append, timeout_s=1)
    next(documents)
    time.sleep(2.5)
    assert (len(list(documents)), failures) == (39, [])


def test_a_file_that_fills_the_memory_is_given_up(folder):
    with (folder / "big.txt").open("w", encoding="utf-8") as file:
        for _ in range(120):
            file.write("x" * 999_999 + "\n")
    found = Apart(folder, memory_mb=200)
    assert found.sources == ["a.txt", "z.txt"]
    assert ["memory" in failure.reason for failure in found.failures if failure.item == "big.txt"] == [True]


def test_memory_is_bounded_while_the_caller_looks_away(library, folder):
    library("held = [bytearray(10_000_000) for _ in range(100)]\nwhile True: pass")
    failures = []
    documents = apart(folder, max_file_mb=1, on_failure=failures.append, memory_mb=200)
    assert next(documents).source == "a.txt"
    time.sleep(1)  # in which the next file is read
    (reader,) = readers()
    assert reader.memory_info().rss < 500_000_000
    assert [document.source for document in documents] == ["z.txt"]
    assert ["memory" in failure.reason for failure in failures] == [True]


def test_the_caller_can_stop_while_a_file_hangs(library, folder):
    library("while True: pass")
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    stopped = []

    def look():
        if stop.is_set():
            stopped.append(time.monotonic())
            raise JobCancelledError("The job was cancelled.")

    with pytest.raises(JobCancelledError):
        Apart(folder, look=look)
    assert time.monotonic() - stopped[0] < 5
    assert not readers()


def test_closing_ends_the_process_that_is_at_work(library, folder):
    library("while True: pass")
    with closing(apart(folder, max_file_mb=1, on_failure=print)) as documents:
        next(documents)
        assert readers()
    assert not readers()


def test_a_process_that_is_done_is_used_again(folder):
    (folder / "m.docx").unlink()
    Apart(folder)
    (first,) = readers()
    Apart(folder)
    assert readers() == [first]
    first.kill()
    first.wait(10)
    assert Apart(folder).sources == ["a.txt", "z.txt"]  # another one


def test_a_process_that_nobody_needs_ends(folder, monkeypatch):
    monkeypatch.setattr(pool, "IDLE_S", 0.3)
    (folder / "m.docx").unlink()
    Apart(folder)
    assert len(readers()) == 1
    until(lambda: not readers())  # nor a zombie of it
    assert Apart(folder).sources == ["a.txt", "z.txt"]
    until(lambda: not readers())


def test_a_process_is_there_before_the_first_file(folder):
    start_reader()
    start_reader()
    assert len(readers()) == 1


def test_no_process_can_be_started(folder, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    with pytest.raises(ReaderError, match="cannot be started: No such file"):
        Apart(folder)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ReaderError, match="ends as it starts: it ended with exit code 1"):
        Apart(folder)


def test_it_knows_none_of_our_secrets(library, folder, monkeypatch):
    monkeypatch.setenv("BOTHWAYS_ES_PASSWORD", "secret")
    library("import os; raise ValueError(sorted(name for name in os.environ if name.startswith('BOTHWAYS_')))")
    assert "ValueError: []" in Apart(folder).failures[0].reason


def test_temporary_files_of_a_killed_process_are_removed(library, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    library("import tempfile, os; tempfile.mkdtemp(); os._exit(1)")
    Apart(folder)
    end_readers()
    assert not list(tmp_path.glob("bothways-read-*"))


PARENT = """
import signal
import sys
from pathlib import Path
from bothways.indexer.read.child.read import ReadOptions, read_in_child
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background have it ignored
documents = read_in_child(Path(sys.argv[1]), ReadOptions(max_file_mb=1, on_failure=print))
print(next(documents).source, flush=True)
list(documents)
"""


@pytest.fixture
def parent(library, folder):
    """A process that reads a folder in which a file hangs: `parent(code)` gives it and its reading process."""
    started = []

    def start(code, **options):
        library(code)
        path = os.pathsep.join(entry for entry in sys.path if entry)
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(folder)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        assert process.stdout.readline() == "a.txt\n"
        (reader,) = psutil.Process(process.pid).children()
        return process, reader

    yield start
    for process in started:
        process.kill()
        process.communicate()


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(600)"])
def test_a_killed_parent_leaves_nobody_behind(parent, code):
    process, reader = parent(code)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: gone(reader), 10)


def test_ctrl_c_ends_both_and_the_process_that_reads_says_nothing(parent):
    process, reader = parent("while True: pass", process_group=0)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.count("Traceback") == 1  # the one of the program above, which catches nothing
    assert gone(reader)


def test_without_stdin(folder):
    (folder / "m.docx").unlink()
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1" "$2" <&- 2>&-', sys.executable, PARENT, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"a.txt\n")


def test_from_many_threads_at_once(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"第{number}。", encoding="utf-8")
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(Apart(tmp_path).documents))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [20] * 4
    assert len(readers()) <= 4
