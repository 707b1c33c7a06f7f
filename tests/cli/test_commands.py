"""The verbs: what the help says of them, that their modules load only when they run, and `--version`."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
import yaml

import bothways
from bothways.cli.commands import COMMANDS
from bothways.cli.lazy import Group
from bothways.cli.main import app

ROOT = Path(__file__).parents[2]


def _leaves():
    for name, verb in COMMANDS.items():
        if isinstance(verb, Group):
            yield from (((name, leaf), under) for leaf, under in verb.verbs.items())
        else:
            yield (name,), verb


def _command(path):
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return command


@pytest.mark.parametrize(
    ("path", "verb"), list(_leaves()), ids=lambda value: " ".join(value) if type(value) is tuple else ""
)
def test_a_line_of_the_help_is_the_first_line_of_the_docstring(path, verb):
    assert _command(path).help.splitlines()[0] == f"{verb.help}."


def test_help_names_each_verb_once_in_order(run):
    code, out, _ = run("--help")
    assert code == 0
    places = [out.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)
    panels = [out.index(f"─ {panel} ─") for panel in ("Search", "Index", "Measure and learn", "Run")]
    assert panels == sorted(panels)


@pytest.mark.parametrize(
    ("typed", "says"), [(["eval"], "Commands"), (["learn"], "Commands"), ([], "Measure and learn")]
)
def test_a_group_alone_shows_its_commands(run, typed, says):
    code, out, err = run(*typed)
    assert (code, says in out + err) == (2, True)


def test_what_is_no_command_is_bad_usage(run):
    code, _, err = run("serach", "q")
    assert code == 2
    assert "Did you mean" in err
    assert "search" in err
    assert run("jobs", "nosuch")[0] == 2


IMPORTED = """
import json, sys
from bothways.cli.main import main
sys.argv = ["bothways", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("typed", [["--help"], ["learn", "--help"], ["--version"]])
def test_help_imports_no_verb(typed):
    done = subprocess.run([sys.executable, "-c", IMPORTED, *typed], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not {"elasticsearch", "numpy", "fastapi"} & loaded
    assert not any(name.startswith("bothways.cli.verbs.") for name in loaded)


def test_version_is_said_in_one_place(run):
    assert run("--version")[:2] == (0, f"bothways {bothways.__version__}\n")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == bothways.__version__ == version("bothways")


WITHOUT = """
import sys
sys.modules["{missing}"] = None
from bothways.__main__ import main
sys.argv = ["bothways", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("missing", "typed"), [("typer", ["--help"]), ("elasticsearch", ["collections"]), ("fastapi", ["serve"])]
)
def test_the_client_alone_says_what_to_install(missing, typed):
    command = [sys.executable, "-c", WITHOUT.format(missing=missing), *typed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith('bothways: This needs the server: pip install "bothways[server]"')
    assert done.stderr.count("\n") == 1
