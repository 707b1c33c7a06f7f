"""Tables: whole in a pipe, and on a terminal folded but never cut."""

from __future__ import annotations

import io

import pytest

from bothways.cli.output import _Out, listing

ID = "00282fc7a933d5c664d1a1471e72414c898b0860"
TITLE = "中华人民共和国民法典第一百八十四条紧急救助的责任豁免以及其他一些很长的标题" * 3


@pytest.fixture(autouse=True)
def _no_columns(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def shown(*ids, **console):
    written = io.StringIO()
    table = listing(ids, "document", "title", "source")
    for one in ids:
        table.add_row(one, TITLE, "a/b/minfadian.txt")
    _Out(file=written, highlight=False, soft_wrap=True, color_system=None, **console).print(table)
    return written.getvalue()


def test_in_a_pipe_a_row_is_a_line():
    for one in (ID, "x" * 480):
        (row,) = [line for line in shown(one).splitlines() if one in line]
        assert row.split() == [one, TITLE, "a/b/minfadian.txt"]


def test_columns_are_as_wide_as_somebody_says(monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    lines = shown(ID).splitlines()
    assert {len(line.encode("gbk", "replace")) for line in lines if ID in line} == {90}


def test_on_a_terminal_an_id_stays_whole_and_the_rest_is_folded():
    printed = shown(ID, force_terminal=True, width=80)
    assert printed.count(ID) == 1
    cells = [line.replace(ID, "").split() for line in printed.splitlines()[3:]]
    assert "".join(cell[0] for cell in cells if cell) == TITLE


def test_on_a_terminal_a_very_long_id_is_folded_and_not_cut():
    printed = shown("z" * 200, force_terminal=True, width=80)
    assert printed.count("z") == 200
    assert "…" not in printed


def test_nothing_to_list():
    assert "document" in shown()
