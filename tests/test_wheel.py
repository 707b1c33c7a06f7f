"""What `pip install bothways` brings: one package, two dependencies of the client, what to install for the rest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import bothways

ROOT = Path(__file__).parents[1]
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
CONTENTS = [
    "bothways/py.typed",
    "bothways/indexer/job.py",
    "bothways/es_mappings/chunks.json",
    "bothways/es_mappings/synonyms.txt",
    "bothways/indexer/doc2query/prompts/.+",
    "bothways/search/answering/prompts/.+",
    "bothways/evaluation/report/templates/.+",
    "bothways/api/console/page/index.html",
    "bothways/api/console/page/js/main.js",
    "bothways/models/rerank/.+/.+safetensors",
]


def _build(folder, source, target):
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is made of the source distribution, as the package index gets both."""
    made = _build(tmp_path_factory.mktemp("sdist"), ROOT, "sdist")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(made) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return _build(tmp_path_factory.mktemp("wheel"), source, "wheel")


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A clean environment: the wheel, and of this one's packages only those that the client needs."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / SCRIPTS / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--disable-pip-version-check", wheel], check=True)
    site = Path(_output(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    for name in _closure({"httpx", "pydantic"}):
        there = distribution(name)
        for top in {file.parts[0] for file in there.files or () if file.parts[0] != ".."}:
            if not (site / top).exists():
                (site / top).symlink_to(there.locate_file(top))
    return folder


def _closure(names):
    """Give the distributions with all that they require here."""
    found, left = set(), set(names)
    while left:
        name = left.pop()
        found.add(name)
        required = map(Requirement, distribution(name).requires or ())
        left |= {one.name for one in required if one.marker is None or one.marker.evaluate({"extra": ""})} - found
    return found


def _environment():
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}


def _output(python, code):
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=False, env=_environment(), cwd=python.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_has_one_package_with_everything_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"bothways"}
    for wanted in CONTENTS:
        assert any(re.fullmatch(wanted, name) for name in names), wanted
    assert not [name for name in names if "__pycache__" in name]


def test_the_client_alone_is_two_dependencies(metadata):
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    assert {one.name for one in required if one.marker is None} == {"httpx", "pydantic"}
    for extra in ("langchain", "mcp"):
        brought = {one.name for one in required if one.marker and one.marker.evaluate({"extra": extra})}
        assert not brought & {"elasticsearch", "fastapi", "numpy", "onnxruntime", "bothways"}
    for extra in ("torch", "ocr", "eval", "ray"):
        assert "elasticsearch" in {one.name for one in required if one.marker and one.marker.evaluate({"extra": extra})}


def test_what_the_package_index_shows(metadata):
    assert (metadata["Version"], metadata["License-Expression"]) == (bothways.__version__, "Apache-2.0")
    assert {line.split(", ")[0] for line in metadata.get_all("Project-URL")} >= {"Homepage", "Issues", "Changelog"}
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_it_is_imported_where_nothing_else_is_installed(installed):
    code = "import bothways, sys; print(bothways.Client, bothways.AsyncClient, len(sys.modules))"
    printed = _output(installed / SCRIPTS / "python", code)
    assert "bothways.client.blocking.Client" in printed


def test_the_command_says_what_else_it_needs(installed):
    done = subprocess.run(
        [installed / SCRIPTS / "bothways", "--help"], capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 2
    assert 'This needs the server: pip install "bothways[server]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_program_that_uses_it_is_typed_strictly(installed, tmp_path):
    program = tmp_path / "consumer.py"
    program.write_text((ROOT / "tests" / "wheel_consumer.py").read_text(encoding="utf-8"), encoding="utf-8")
    check = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", tmp_path / "cache"]
    done = subprocess.run(
        [*check, "--python-executable", installed / SCRIPTS / "python", program],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
