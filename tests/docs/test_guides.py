"""The guides name commands, options and settings that exist; the Chinese ones are those of the English ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH = {page.name: page for page in (DOCS / "guide").glob("*.md")}
CHINESE = {page.name: page for page in (DOCS / "zh" / "guide").glob("*.md")}
PAGES = [*ENGLISH.values(), *CHINESE.values()]

# Other tests compare the pages of the reference with the code.
_REFERENCE = (DOCS / "reference" / "cli.md").read_text("utf-8")
SETTINGS = set(re.findall(r"BOTHWAYS_[A-Z_]+", (DOCS / "reference" / "settings.md").read_text("utf-8")))
COMMANDS = set(re.findall(r"^## bothways ([a-z]+)", _REFERENCE, re.MULTILINE))
SUBCOMMANDS = set(re.findall(r"^## bothways ([a-z-]+ [a-z-]+)$", _REFERENCE, re.MULTILINE))
OPTIONS = set(re.findall(r"--[a-z][a-z-]+", _REFERENCE)) | {"--help", "--debug", "--version"}

_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_COMMAND = re.compile(r"(?<![\w:.-])bothways ([a-z]+)(?: ([a-z][a-z-]*)(?![\w/.:-]))?([^\n`#|;]*)")


def _named(page):
    """Return the commands with their options, and the settings, that a page names in its code."""
    code = "\n".join(_CODE.findall(page.read_text("utf-8")))
    commands = {(verb, sub, *re.findall(r"--[a-z][a-z-]+", rest)) for verb, sub, rest in _COMMAND.findall(code)}
    return commands, set(re.findall(r"BOTHWAYS_[A-Z_]+", code))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_commands_options_and_settings_exist(page):
    commands, named_settings = _named(page)
    groups = {name.split()[0] for name in SUBCOMMANDS}
    for verb, sub, *options in commands:
        assert verb in COMMANDS, verb
        if verb in groups and sub:
            assert f"{verb} {sub}" in SUBCOMMANDS, f"{verb} {sub}"
        assert set(options) <= OPTIONS, f"{verb} {sub}: {set(options) - OPTIONS}"
    assert named_settings <= SETTINGS


@pytest.mark.parametrize("name", CHINESE)
def test_a_chinese_page_has_the_commands_and_settings_of_the_english_one(name):
    assert name in ENGLISH
    assert _named(CHINESE[name]) == _named(ENGLISH[name])


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_pages_link_to_chinese_pages(name):
    links = re.findall(r"\]\(([^)#]+\.md)", CHINESE[name].read_text("utf-8"))
    assert not {
        link for link in links if link.startswith("../../guide/") and link.removeprefix("../../guide/") in CHINESE
    }


def _shape(text):
    """Return a text without what differs from one message to the next: numbers, and what code fills in."""
    return re.sub(r"\{[^{}\n]*\}|\d+", "\0", text)


def test_errors_that_the_guide_quotes_are_those_of_the_code():
    root = DOCS.parent
    sources = "\n".join(
        file.read_text("utf-8") for room in ("bothways", "indexer") for file in (root / room).rglob("*.py")
    )
    code = _shape(re.sub(r"[\"']\s*\n\s*f?[\"']", "", sources))
    for page in (ENGLISH["troubleshooting.md"], CHINESE["troubleshooting.md"]):
        symptoms = re.findall(r"^\| ([^|]+) \|", page.read_text("utf-8"), re.MULTILINE)
        quoted = [quote for symptom in symptoms for quote in re.findall(r"`([^`]+ [^`]+)`", symptom)]
        assert len(quoted) > 8
        for quote in quoted:
            for part in quote.split("…"):
                assert _shape(part.strip()) in code, quote
