"""The console's files as they are served, without a browser and without Elasticsearch."""

from __future__ import annotations

import json
import re

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.api.console import PAGE
from bothways.core.settings import load_settings

SCRIPTS = sorted((PAGE / "js").rglob("*.js"))


@pytest.fixture
def http(tmp_path):
    chosen = load_settings(cache_dir=tmp_path, api_keys="the-key-of-a-test")
    return TestClient(create_app(chosen), follow_redirects=False)


def messages(language):
    return json.loads((PAGE / "locales" / f"{language}.json").read_text("utf-8"))


def placeholders(message):
    return sorted(re.findall(r"\{(\w+)\}", message))


def test_the_address_of_the_server_leads_to_it(http):
    answer = http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "console/")
    assert http.get("/console").headers["location"].endswith("/console/")


def test_its_files_need_no_key_and_carry_a_strict_policy(http):
    answer = http.get("/console/")
    assert answer.status_code == 200
    rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert rules["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert http.get("/api/v1/collections").status_code == 401


@pytest.mark.parametrize("path", ["../__init__.py", "%2e%2e/__init__.py", "js/../../__init__.py", "locales"])
def test_nothing_else_is_served(http, path):
    assert http.get(f"/console/{path}").status_code == 404


def test_a_file_that_has_not_changed_is_not_sent_again(http):
    first = http.get("/console/js/main.js")
    assert first.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert http.get("/console/js/main.js", headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_all_that_the_page_names_is_there():
    index = (PAGE / "index.html").read_text("utf-8")
    named = [PAGE / path for path in re.findall(r'(?:src|href)="([^"]+)"', index)]
    for script in SCRIPTS:
        named += [script.parent / path for path in re.findall(r'from "(\.[^"]+)"', script.read_text("utf-8"))]
    assert [str(path) for path in named if not path.resolve().is_file()] == []
    assert "://" not in index


def test_both_languages_say_the_same_things():
    zh, en = messages("zh"), messages("en")
    assert list(zh) == list(en)
    assert [key for key in zh if placeholders(zh[key]) != placeholders(en[key])] == []
    assert [key for key in zh if not zh[key].strip() or not en[key].strip()] == []


def test_every_message_that_the_scripts_say_is_there():
    said = set()
    for script in SCRIPTS:
        said |= set(re.findall(r'(?<![\w.])t\("([^"]+)"', script.read_text("utf-8")))
    assert len(said) > 100
    assert said - messages("en").keys() == set()


def test_every_message_is_said():
    source = "".join(script.read_text("utf-8") for script in SCRIPTS)
    made = tuple(re.findall(r"[`(\[]([a-z_]+\.(?:[a-z_]+\.)?)\$\{", source))
    assert [key for key in messages("en") if f'"{key}"' not in source and not key.startswith(made)] == []


def test_no_script_makes_html_of_text():
    for script in SCRIPTS:
        source = re.sub(r"//.*", "", script.read_text("utf-8"))
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "eval(",
            "new Function",
        ):
            assert word not in source, f"{script.name}: {word}"


def test_files_stay_small():
    longest = {script.name: len(script.read_text("utf-8").splitlines()) for script in SCRIPTS}
    assert max(longest.values()) <= 300, longest
