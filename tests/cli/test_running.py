"""A server notes itself for `bothways search`: as long as it lives, for those with its settings, for its user alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bothways.cli.running import noted, running_server
from bothways.core.settings import load_settings

URL = "http://127.0.0.1:8000"
SERVE = """
import sys
from pathlib import Path
from bothways.cli.running import noted
from bothways.core.settings import load_settings
with noted(load_settings(cache_dir=Path(sys.argv[1])), "http://127.0.0.1:8000"):
    print("noted", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def chosen(tmp_path):
    return load_settings(cache_dir=tmp_path)


@pytest.fixture
def server(tmp_path):
    """Another process that is noted."""
    started = subprocess.Popen(
        [sys.executable, "-c", SERVE, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout.readline() == "noted\n"
    yield started
    started.kill()
    started.communicate()


def test_nobody_is_noted(chosen):
    assert running_server(chosen) is None


def test_a_server_with_the_same_settings(chosen, server, tmp_path):
    assert running_server(chosen) == URL
    assert running_server(load_settings(cache_dir=tmp_path, port=9, host="0.0.0.0", server_url=URL)) == URL
    for other in ({"leg_k": 7}, {"es_url": "http://elsewhere:9200"}, {"es_api_key": "k"}, {"es_api_key": "l"}):
        assert running_server(load_settings(cache_dir=tmp_path, **other)) is None


def test_one_that_ends_takes_its_note_away(chosen, server, tmp_path):
    server.communicate("")
    assert running_server(chosen) is None
    assert not list((tmp_path / "servers").iterdir())


def test_one_that_is_killed_is_not_asked(chosen, server, tmp_path):
    server.kill()
    server.wait()
    assert list((tmp_path / "servers").iterdir())
    assert running_server(chosen) is None
    with noted(chosen, "http://127.0.0.1:1"):
        assert list((tmp_path / "servers").iterdir())


def test_the_first_of_two_stays_noted(chosen, server):
    with noted(chosen, "http://127.0.0.1:1"):
        assert running_server(chosen) == URL
    assert running_server(chosen) == URL


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_note_that_others_may_read_or_write_is_not_believed(chosen, server, tmp_path, mode):
    (note,) = (tmp_path / "servers").iterdir()
    assert note.stat().st_mode & 0o777 == 0o600
    note.chmod(mode)
    assert running_server(chosen) is None


def test_a_note_of_another_user_is_not_believed(chosen, server, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert running_server(chosen) is None


def test_a_server_that_has_not_written_yet(chosen, server, tmp_path):
    (note,) = (tmp_path / "servers").iterdir()
    note.write_text("")
    assert running_server(chosen) is None
