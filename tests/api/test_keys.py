"""Who is let in as whom; no Elasticsearch."""

from __future__ import annotations

import hashlib

import pytest
from fastapi import HTTPException
from starlette.datastructures import Headers

from api.keys import load_keys
from core.access import ADMIN, Access
from core.errors import SettingsError
from core.settings import load_settings


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
    return load_keys(load_settings(api_keys="plain", api_keys_file=path))


def headers(*pairs):
    return Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in pairs])


@pytest.mark.parametrize(
    ("key", "access"),
    [
        ("of-hr", Access(frozenset({"hr", "legal"}))),
        ("of-nobody", Access(frozenset())),
        ("of-admin", ADMIN),
        ("plain", ADMIN),
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
        [("x-api-key", "of-hr,plain")],
        [("authorization", "Basic plain")],
        [("authorization", "Bearer")],
        # Two keys: nobody is to guess which of them counts.
        [("authorization", "Bearer of-hr"), ("x-api-key", "plain")],
        [("x-api-key", "of-hr"), ("x-api-key", "plain")],
        [("authorization", "Bearer plain"), ("authorization", "Bearer of-hr")],
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
    with pytest.raises(SettingsError, match=says):
        load_keys(load_settings(api_keys_file=path))


def test_a_key_in_the_place_of_its_hash_is_not_repeated(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text('[[keys]]\nsha256 = "my-secret-key"\nadmin = true', encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_keys(load_settings(api_keys_file=path))
    assert "my-secret-key" not in str(caught.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_keys(load_settings(api_keys_file=tmp_path / "missing.toml"))
