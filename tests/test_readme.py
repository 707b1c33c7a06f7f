"""The README tells of every verb, route and strategy: what is not there does not exist for a newcomer."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import typer

from bothways.api.app import create_app
from bothways.cli.main import app
from bothways.core.datatypes import Strategy
from bothways.core.settings import load_settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_verb():
    verbs = typer.main.get_command(app).commands
    for verb in verbs:
        assert f"`bothways {verb}" in README, verb


def test_every_command_of_eval():
    commands = typer.main.get_command(app).commands["eval"].commands
    for command in commands.keys() - {"queries"}:
        assert f"`bothways eval {command}" in README, command


@pytest.mark.parametrize("group", ["learn", "synonyms", "collections"])
def test_every_command_of(group):
    for command in typer.main.get_command(app).commands[group].commands.keys() - {"list"}:
        assert f"`bothways {group} {command}" in README, command


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_every_strategy(strategy):
    assert f"| `{strategy}`" in README


def test_every_route():
    for path, methods in create_app(load_settings()).openapi()["paths"].items():
        for method in methods:
            assert f"| `{method.upper()} {path}` |" in README, f"{method} {path}"


def test_every_make_target():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "lint", "bench", "bench-scale", "serve", "docs", "clean"):
        assert f"\n{target}:" in makefile
