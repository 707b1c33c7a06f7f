"""What comes from outside moves no cursor and forges no line, in logs and on terminals."""

from __future__ import annotations

import io
import json
import logging
import re
import sys

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bothways.cli.output import Guarded, print_json
from bothways.core.machine.logs import configure_logs
from bothways.core.text.printable import printable, printable_line

EVIL = "a\x1b[31mb\x1b]0;title\x07c\0d\re\x9bf\u202eg\u2066h\u2028i\ud800j\x7fk\u200bl"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture
def logged(monkeypatch):
    """Log as to a file or a terminal; gives what was written."""

    def write(use, *, terminal=False):
        stderr = io.StringIO()
        monkeypatch.setattr(stderr, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, "stderr", stderr)
        configure_logs("info")
        use(structlog.get_logger())
        return stderr.getvalue()

    yield write
    structlog.reset_defaults()
    logging.lastResort.setFormatter(None)


def test_text_is_text():
    text = "年假五天，“提前”申请。\nHéllo naïve – 10 % ½ 👍🏽 한국어 العربية ไทย\u3000x\u00a0y"
    assert printable(text) == text
    assert printable_line("a\nb") == "a\\nb"
    assert printable(EVIL).startswith("a\\x1b[31mb\\x1b]0;title\\x07c\\x00d\\re\\x9bf\\u202eg")


@given(st.text())
def test_nothing_is_obeyed(text):
    assert not OBEYED.search(printable(text))
    assert "\n" not in printable_line(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_an_entry_is_one_line_whatever_its_values_are(logged, terminal):
    class Named:
        def __str__(self):
            return f"{EVIL}\nforged=1"

    values = {
        "path": f"/{EVIL}\n2026-01-01 [error] forged",
        "reason": ValueError(f"{EVIL}\nforged"),
        "of": Named(),
        "names": [EVIL, {EVIL: f"{EVIL}\n"}],
    }
    written = logged(lambda log: log.info(f"event {EVIL}\nforged", **values), terminal=terminal)
    assert not OBEYED.search(re.sub(r"\x1b\[[\d;]*m", "", written) if terminal else written)
    assert written.replace("\x1b[31mb", "").count("\x1b]") == 0
    assert written.count("\n") == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_a_traceback_holds_nothing_either(logged, terminal):
    def fail(log):
        try:
            raise RuntimeError(EVIL)  # noqa: TRY301
        except RuntimeError:
            log.exception("failed")

    written = logged(fail, terminal=terminal)
    assert "RuntimeError: a\\x1b[31mb" in written.replace("\\\\", "\\")
    assert not OBEYED.search(re.sub(r"\x1b\[[\d;]*m", "", written) if terminal else written)


def test_lines_of_other_libraries_too(logged):
    handlers = logging.getLogger().handlers[:]
    logging.getLogger().handlers = []
    try:
        written = logged(lambda _: logging.getLogger("elsewhere").warning("bad file %s", EVIL))
    finally:
        logging.getLogger().handlers = handlers
    assert written.startswith("bad file a\\x1b[31mb")
    assert not OBEYED.search(written)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_console_prints_all_and_obeys_nothing(terminal):
    written = io.StringIO()
    console = Guarded(file=written, highlight=False, soft_wrap=True, force_terminal=terminal, width=400)
    table = Table("name")
    table.add_row(EVIL)
    table.add_row(Text(EVIL))
    console.print(EVIL, markup=False)
    console.print(Text(EVIL, "bold"))
    console.print(table)
    with Progress(console=console) as bar:
        bar.add_task(EVIL.replace("[", "("), total=1)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", written.getvalue())
    assert plain.count("a\\x1b[31mb\\x1b]0;tit") == 4  # of which cells fold the rest
    assert not OBEYED.search(plain)
    assert "\x1b[31mb" not in written.getvalue()


def test_json_says_the_same_and_is_not_obeyed(capsys):
    print_json({EVIL: [EVIL]})
    written = capsys.readouterr().out
    assert not OBEYED.search(written.replace("\u200b", ""))
    assert json.loads(written) == {EVIL: [EVIL]}


def test_what_is_typed_wrong_is_not_obeyed(run):
    for words in (["search", "a", "-c", "x", EVIL.replace("\0", "")], ["nothing\x1b[31m"], ["search", "--x\x1b[31m"]):
        code, out, err = run(*words)
        assert code == 2
        assert not OBEYED.search(out + err.replace("\u200b", ""))
