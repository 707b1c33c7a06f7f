"""Who is let in as whom, with which file, and what wrong keys cost; no Elasticsearch."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from starlette.datastructures import Headers
from structlog.testing import capture_logs

import bothways.api.security.key_file
from bothways.api.app import create_app
from bothways.api.security import wrong_keys
from bothways.api.security.key_file import check_private
from bothways.api.security.keys import FEWEST_CHARS, load_keys
from bothways.api.security.wrong_keys import FREE_TRIES, LONGEST_DELAY_S, MOST_ADDRESSES, WrongKeys
from bothways.core.access.groups import ADMIN, Access
from bothways.core.errors import SettingsError
from bothways.core.settings import load_settings

PLAIN = "a-plain-key-of-an-admin"


def sha(key):
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(
        f'[[keys]]\nname = "portal"\nsha256 = "{sha("of-hr")}"\ngroups = ["hr", " legal "]\n'
        f'[[keys]]\nsha256 = "{sha("of-nobody").upper()}"\ngroups = []\n'
        f'[[keys]]\nsha256 = "{sha("of-admin")}"\nadmin = true\n',
        encoding="utf-8",
    )
    path.chmod(0o600)
    return load_keys(load_settings(api_keys=PLAIN, api_keys_file=path))


def headers(*pairs):
    return Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in pairs])


@pytest.mark.parametrize(
    ("key", "access"),
    [
        ("of-hr", Access(frozenset({"hr", "legal"}))),
        ("of-nobody", Access(frozenset())),
        ("of-admin", ADMIN),
        (PLAIN, ADMIN),
    ],
)
def test_a_key_gives_its_access(keys, key, access):
    assert keys.admit(headers(("x-api-key", key))) == access
    assert keys.admit(headers(("authorization", f"bearer {key}"))) == access
    assert keys.admit(headers(("authorization", f"Bearer {key}"), ("x-api-key", key))) == access


@pytest.mark.parametrize(
    "brought",
    [
        [],
        [("x-api-key", "")],
        [("x-api-key", "wrong")],
        [("x-api-key", "of-h")],
        [("x-api-key", f"of-hr,{PLAIN}")],
        [("authorization", f"Basic {PLAIN}")],
        [("authorization", "Bearer")],
        # Two keys: nobody is to guess which of them counts.
        [("authorization", "Bearer of-hr"), ("x-api-key", PLAIN)],
        [("x-api-key", "of-hr"), ("x-api-key", PLAIN)],
        [("authorization", f"Bearer {PLAIN}"), ("authorization", "Bearer of-hr")],
        [("x-api-key", "\xe9\xff")],
    ],
)
def test_anything_else_is_nobody(keys, brought):
    with pytest.raises(HTTPException) as caught:
        keys.admit(headers(*brought))
    assert caught.value.status_code == 401
    with pytest.raises(HTTPException):
        keys.admit(headers(("x-api-key", sha("of-hr"))))  # who reads the file has no key by it


def test_without_keys_everybody_is_an_admin():
    assert load_keys(load_settings()).admit(headers()) == ADMIN


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("keys = 3", "keys"),
        ("", "keys"),
        ("keys = []", "no API keys"),
        ("[[keys]]\nsha256 =", "cannot be read"),
        (f'[[keys]]\nsha256 = "{sha("a")}"', "either `groups"),
        (f'[[keys]]\nsha256 = "{sha("a")}"\ngroups = ["hr"]\nadmin = true', "either `groups"),
        (f'[[keys]]\nsha256 = "{sha("a")}"\ngroups = "hr"', "groups"),
        (f'[[keys]]\nsha256 = "{sha("a")}"\ngroups = [" "]', "groups"),
        (f'[[keys]]\nsha256 = "{sha("a")}"\ngroup = ["hr"]', "group"),
        (f'[[keys]]\nsha256 = "{sha("a")}"\nadmin = true\n[[keys]]\nsha256 = "{sha("a")}"\ngroups = []', "twice"),
    ],
)
def test_a_file_that_does_not_say_it_clearly_is_refused(tmp_path, content, says):
    path = tmp_path / "keys.toml"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=says):
        load_keys(load_settings(api_keys_file=path))


def test_a_key_in_the_place_of_its_hash_is_not_repeated(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text('[[keys]]\nsha256 = "my-secret-key"\nadmin = true', encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        load_keys(load_settings(api_keys_file=path))
    assert "my-secret-key" not in str(caught.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_keys(load_settings(api_keys_file=tmp_path / "missing.toml"))


@pytest.mark.parametrize("key", ["a", "secret", "0123456789abcde"])
def test_a_plain_key_that_can_be_guessed_is_refused(key):
    with pytest.raises(SettingsError, match=r"BOTHWAYS_API_KEYS has \d+ characters.*openssl rand -hex 32") as caught:
        load_keys(load_settings(api_keys=f"{PLAIN},{key}"))
    assert f"{key!r}" not in str(caught.value)
    assert len(key) < FEWEST_CHARS


def test_a_key_of_the_fewest_characters_is_taken():
    assert (
        load_keys(load_settings(api_keys="0123456789abcdef")).admit(headers(("x-api-key", "0123456789abcdef"))) == ADMIN
    )


@pytest.mark.parametrize(
    ("mode", "is_private"),
    [(0o600, True), (0o400, True), (0o640, "root"), (0o440, "root"), (0o644, False), (0o604, False), (0o660, False),
     (0o602, False), (0o620, False), (0o777, False)],
)  # fmt: skip
def test_a_file_that_others_may_read_is_refused(tmp_path, mode, is_private):
    path = tmp_path / "keys.toml"
    path.write_text(entry("of-admin", "admin = true"), encoding="utf-8")
    path.chmod(mode)
    if is_private is True or (is_private == "root" and os.getuid() == 0):
        assert load_keys(load_settings(api_keys_file=path)).admit(headers(("x-api-key", "of-admin"))) == ADMIN
    else:
        with pytest.raises(SettingsError, match=f"mode {mode:03o}.*chmod 600"):
            load_keys(load_settings(api_keys_file=path))


def test_what_root_owns_may_be_read_by_the_group(tmp_path, monkeypatch):
    path = tmp_path / "keys.toml"
    path.write_text("")
    path.chmod(0o640)
    real = path.stat()
    for owner, is_private in ((0, True), (1000, False)):
        fields = [*real[:4], owner, *real[5:]]
        monkeypatch.setattr(type(path), "stat", lambda self, fields=fields, **more: os.stat_result(fields))
        if is_private:
            check_private(path)
        else:
            with pytest.raises(SettingsError):
                check_private(path)


def test_a_secret_of_a_container_is_taken_as_it_is_mounted(tmp_path, monkeypatch):
    """Docker swarm and Kubernetes mount secrets read-only with mode 444 or 644, which nobody inside can change."""
    path = tmp_path / "keys.toml"
    path.write_text(entry("of-admin", "admin = true"), encoding="utf-8")
    path.chmod(0o444)
    with pytest.raises(SettingsError):
        load_keys(load_settings(api_keys_file=path))
    monkeypatch.setattr(bothways.api.security.key_file, "_is_on_read_only_mount", lambda given: given == path)
    assert load_keys(load_settings(api_keys_file=path)).admit(headers(("x-api-key", "of-admin"))) == ADMIN


def entry(key, more):
    return f'[[keys]]\nsha256 = "{sha(key)}"\n{more}\n'


class KeyFile:
    """A file of keys that is rewritten while a server runs."""

    def __init__(self, path):
        self.path = path

    def write(self, *entries, mode=0o600):
        self.path.write_text("".join(entries), encoding="utf-8")
        self.path.chmod(mode)

    def replace(self, *entries):
        """As most editors and all who write files whole do."""
        beside = self.path.with_suffix(".new")
        beside.write_text("".join(entries), encoding="utf-8")
        beside.chmod(0o600)
        beside.replace(self.path)


HR, ADMINS = entry("of-hr", 'groups = ["hr"]'), entry("of-admin", "admin = true")


@pytest.fixture
def file(tmp_path):
    made = KeyFile(tmp_path / "keys.toml")
    made.write(HR, ADMINS)
    return made


def admitted(keys, key):
    try:
        return keys.admit(headers(("x-api-key", key)))
    except HTTPException:
        return None


@pytest.mark.parametrize("way", ["write", "replace"])
def test_the_file_is_read_again_when_it_changes(file, way):
    keys = load_keys(load_settings(api_keys_file=file.path))
    assert admitted(keys, "of-hr") == Access(frozenset({"hr"}))
    getattr(file, way)(ADMINS)
    assert admitted(keys, "of-hr") is None
    assert admitted(keys, "of-admin") == ADMIN
    getattr(file, way)(ADMINS, entry("of-hr", 'groups = ["it"]'))
    assert admitted(keys, "of-hr") == Access(frozenset({"it"}))


def test_changes_within_a_tick_of_the_clock_are_seen(file):
    """Two keys of one length, written one right after the other: time and size are the same, the key is not."""
    keys = load_keys(load_settings(api_keys_file=file.path))
    for n in range(50):
        file.write(entry(f"key-{n % 7}", "admin = true"))
        stamp = file.path.stat().st_mtime_ns
        os.utime(file.path, ns=(stamp - stamp % 10_000_000,) * 2)
        assert admitted(keys, f"key-{n % 7}") == ADMIN
        assert admitted(keys, f"key-{(n + 1) % 7}") is None


def test_an_unchanged_file_is_not_read_again(file, monkeypatch):
    old = time.time() - 60
    os.utime(file.path, (old, old))
    keys = load_keys(load_settings(api_keys_file=file.path))
    monkeypatch.setattr("bothways.api.security.keys.read_keys", None)  # a call would fail
    for _ in range(10):
        assert admitted(keys, "of-hr")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write("[[keys]\n"),
        lambda file: file.write(""),
        lambda file: file.write(HR, HR),
        lambda file: file.write(HR, mode=0o644),
        lambda file: file.path.write_bytes(b"\xff\xfe"),
        lambda file: file.path.unlink(),
        lambda file: (file.path.unlink(), file.path.mkdir()),
    ],
)
def test_a_broken_file_leaves_the_keys_and_is_logged_once(file, spoil):
    keys = load_keys(load_settings(api_keys_file=file.path))
    with capture_logs() as logs:
        spoil(file)
        for _ in range(3):
            assert admitted(keys, "of-hr") == Access(frozenset({"hr"}))
            assert admitted(keys, "wrong") is None
    said = [line for line in logs if line["event"] == "api_keys_not_renewed"]
    assert [(line["log_level"], str(file.path) in line["reason"] or "twice" in line["reason"]) for line in said] == [
        ("error", True)
    ]
    assert sha("of-hr") not in str(logs)
    assert REGISTRY.get_sample_value("bothways_api_keys_stale") == 1
    if file.path.is_dir():
        file.path.rmdir()
    file.write(ADMINS)
    assert admitted(keys, "of-hr") is None
    assert REGISTRY.get_sample_value("bothways_api_keys_stale") == 0


def test_a_file_that_is_opened_to_others_while_the_server_runs_is_logged(file):
    keys = load_keys(load_settings(api_keys_file=file.path))
    with capture_logs() as logs:
        file.path.chmod(0o644)
        assert admitted(keys, "of-hr")
    assert [line["event"] for line in logs] == ["api_keys_not_renewed"]
    assert "chmod 600" in logs[0]["reason"]


def test_the_message_tells_a_wrong_key_from_none(keys):
    def said(*pairs):
        with pytest.raises(HTTPException) as caught:
            keys.admit(headers(*pairs))
        assert caught.value.headers["WWW-Authenticate"] == "Bearer"
        return caught.value.detail

    assert "Bring one of the server's API keys" in said()
    assert "Bring one of the server's API keys" in said(("authorization", f"Basic {PLAIN}"))
    assert "was refused" in said(("x-api-key", "wrong"))
    assert "wrong" not in said(("x-api-key", "wrong-key-that-is-no-ones"))
    assert "several" in said(("x-api-key", "of-hr"), ("x-api-key", PLAIN))


def test_wrong_keys_wait_longer_and_longer_and_are_forgiven(clock):
    known = WrongKeys(clock=clock)
    delays = [known.delay_of("10.0.0.1") for _ in range(FREE_TRIES + 8)]
    assert delays[:FREE_TRIES] == [0.0] * FREE_TRIES
    assert delays[FREE_TRIES:] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert known.delay_of("10.0.0.2") == 0.0
    clock.now += 61
    assert known.delay_of("10.0.0.1") == 0.0


def test_an_address_of_version_6_is_counted_by_its_network(clock):
    known = WrongKeys(clock=clock)
    delays = [known.delay_of(f"2001:db8::{n:x}") for n in range(FREE_TRIES + 1)]
    assert delays[-1] > 0
    assert known.delay_of("2001:db8:0:1::1") == 0.0
    mapped = [known.delay_of(address) for address in ("::ffff:10.0.0.3", "10.0.0.3") * FREE_TRIES]
    assert mapped[-1] > 0


def test_the_memory_of_addresses_is_bounded(clock):
    known = WrongKeys(clock=clock)
    for n in range(MOST_ADDRESSES + 500):
        known.delay_of(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    known.delay_of("x" * 100_000)
    assert len(known._tries) == MOST_ADDRESSES
    assert max(map(len, known._tries)) <= 100


def test_a_flood_of_wrong_keys_does_not_wait_in_memory(clock, monkeypatch):
    monkeypatch.setattr(wrong_keys, "MOST_WAITING", 3)
    known = WrongKeys(clock=clock)
    for _ in range(FREE_TRIES + 10):
        known.delay_of("10.0.0.1")

    async def flood():
        tries = [asyncio.create_task(known.slow_down("10.0.0.1")) for _ in range(20)]
        done, waiting = await asyncio.wait(tries, timeout=LONGEST_DELAY_S / 4)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return len(done), len(waiting)

    assert asyncio.run(flood()) == (17, 3)
    assert known._waiting == 0


@pytest.fixture
def http(tmp_path):
    def away(_):
        raise SettingsError("There is none.")

    app: FastAPI = create_app(load_settings(api_keys=PLAIN, cache_dir=tmp_path, feedback=False), away)
    return TestClient(app, raise_server_exceptions=False)


def test_right_keys_never_wait_and_cannot_be_locked_out(http, monkeypatch):
    """Wrong keys come from the same address, as behind a proxy; what is forwarded changes nothing."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(wrong_keys.asyncio, "sleep", sleep)
    counted = REGISTRY.get_sample_value("bothways_api_keys_refused_total")
    for n in range(FREE_TRIES + 5):
        brought = {"X-API-Key": "wrong", "X-Forwarded-For": f"10.0.0.{n}"}
        assert http.get("/api/v1/collections", headers=brought).status_code == 401
    assert slept == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert REGISTRY.get_sample_value("bothways_api_keys_refused_total") == counted + FREE_TRIES + 5
    assert http.get("/api/v1/collections", headers={"X-API-Key": PLAIN}).status_code != 401
    assert http.get("/api/v1/collections").status_code == 401
    assert len(slept) == 5
