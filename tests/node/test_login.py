"""The password of a node: its file, its hash, and who is given it."""

import base64
import hashlib
import os
from dataclasses import replace

import pytest
from pydantic import SecretStr

from bothways.cli.verbs.kibana import _kibana
from bothways.core.errors import ElasticsearchUnavailableError, NodeError
from bothways.core.settings import load_settings
from bothways.node import find_login
from bothways.node.connect import connect
from bothways.node.login import USER, Login, ensure_login, hashed, password_file, read_login, read_password
from bothways.node.state import write_state
from tests.node.test_local import info_of, this_process


@pytest.fixture
def config(tmp_path):
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


@pytest.mark.parametrize(("container", "readable"), [(False, 0o600), (True, 0o644)])
def test_the_password_is_its_users_alone_and_stays(tmp_path, config, container, readable):
    old = os.umask(0)
    try:
        path = ensure_login(tmp_path, config, container=container)
    finally:
        os.umask(old)
    assert path == password_file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert {(config / name).stat().st_mode & 0o777 for name in ("users", "users_roles")} == {readable}
    password = read_password(path)
    assert len(password) >= 32
    assert password not in (config / "users").read_text() + (config / "users_roles").read_text()
    assert (config / "users_roles").read_text() == "superuser:bothways\nkibana_system:bothways\n"
    before = (config / "users").read_text()
    ensure_login(tmp_path, config, container=container)
    assert (read_password(path), (config / "users").read_text()) == (password, before)


def test_a_lost_password_is_made_anew_and_a_lost_hash_of_the_same(tmp_path, config):
    path = ensure_login(tmp_path, config, container=False)
    password = read_password(path)
    (config / "users").write_text("")
    ensure_login(tmp_path, config, container=False)
    assert read_password(path) == password
    assert (config / "users").read_text().startswith("bothways:{PBKDF2}10000$")
    path.unlink()
    ensure_login(tmp_path, config, container=False)
    assert read_password(path) != password


def test_the_hash_is_of_elasticsearchs_form():
    prefix, salt, digest = hashed("secret", b"s" * 32).split("$")
    assert prefix == "{PBKDF2}10000"
    assert base64.b64decode(salt) == b"s" * 32
    assert base64.b64decode(digest) == hashlib.pbkdf2_hmac("sha512", b"secret", b"s" * 32, 10_000, 32)


def test_a_login_does_not_show_its_password():
    assert "hush" not in repr(Login("me", "hush"))


def test_a_password_that_is_gone_says_how_to_get_a_new_one(tmp_path):
    with pytest.raises(NodeError, match="`bothways es up` makes a new one"):
        read_login(USER, tmp_path / "password")


@pytest.fixture
def node(monkeypatch, tmp_path, config):
    """Settings of a cache folder whose node "runs" (as this very process) at port 9399 with a password."""
    for name in ("URL", "USER", "PASSWORD", "API_KEY"):
        monkeypatch.delenv(f"BOTHWAYS_ES_{name}", raising=False)
    path = ensure_login(tmp_path, config, container=False)
    (tmp_path / "cache/node").mkdir(parents=True)
    info = info_of(tmp_path, url="http://127.0.0.1:9399", port=9399, processes=(this_process(),))
    write_state(tmp_path / "cache/node", replace(info, user=USER, password_file=path))
    return load_settings(cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9399", "http://127.0.0.1:9399/", "http://localhost:9399"])
def test_the_node_is_entered_by_its_address(node, url):
    assert find_login(node, url).user == "bothways"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9398",
        "http://127.0.0.1",
        "https://127.0.0.1:9399",
        "http://es.example:9399",
        "http://127.0.0.1.es.example:9399",
        "http://127.0.0.1:9399@es.example:9399",
        "http://[::1]:9399",
    ],
)
def test_no_other_server_is_given_the_password(node, url):
    assert find_login(node, url) is None


def test_without_a_node_there_is_no_login(tmp_path):
    assert find_login(load_settings(cache_dir=tmp_path), "http://127.0.0.1:9399") is None


def test_a_lost_password_is_said_when_connecting(node, tmp_path):
    password_file(tmp_path).unlink()
    with pytest.raises(NodeError, match="`bothways es up` makes a new one"):
        connect(node)


def test_a_login_in_the_settings_goes_first(node, monkeypatch, tmp_path):
    password_file(tmp_path).unlink()  # it is not read
    monkeypatch.setenv("BOTHWAYS_ES_USER", "me")
    monkeypatch.setenv("BOTHWAYS_ES_PASSWORD", "mine")
    with pytest.raises(ElasticsearchUnavailableError):
        connect(load_settings(cache_dir=node.cache_dir))


def test_kibana_on_this_machine_is_entered_as_the_node_is_and_no_other(node):
    found = _kibana(node, None)
    assert (found.user, found.password) == ("bothways", find_login(node, "http://127.0.0.1:9399").password)
    assert found.password not in repr(found)
    for url in ("https://kibana.example.org", "http://[::1"):
        assert _kibana(node, url).user is None
    keyed = node.model_copy(update={"kibana_api_key": SecretStr("k")})
    assert (_kibana(keyed, None).api_key, _kibana(keyed, None).user) == ("k", None)
