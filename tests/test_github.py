"""What GitHub reads: each file against its published schema, workflows with few rights, commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(file for file in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if file.name != "config.yml")
REPOSITORY = "https://github.com/bothways/bothways"


def _load(file):
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _jobs():
    return [(file, name, job) for file in WORKFLOWS for name, job in _load(file)["jobs"].items()]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [GITHUB / "dependabot.yml"]),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.github-issue-config", [GITHUB / "ISSUE_TEMPLATE" / "config.yml"]),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_schema(schema, files):
    assert files
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run([*check, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_starts_with_the_right_to_read_at_most(file):
    assert _load(file)["permissions"] in ({}, {"contents": "read"})


def test_only_what_publishes_may_write():
    writing = {
        (file.name, name, right)
        for file, name, job in _jobs()
        for right, level in job.get("permissions", {}).items()
        if level == "write"
    }
    assert writing == {
        ("release.yml", "publish", "id-token"),
        ("image.yml", "publish", "packages"),
        ("image.yml", "publish", "id-token"),
        ("image.yml", "publish", "attestations"),
    }


def test_actions_are_pinned_and_leave_no_credentials_behind():
    for file, name, job in _jobs():
        for step in job.get("steps", ()):
            if "uses" not in step:
                continue
            assert re.search(r"@(release/)?v\d+$", step["uses"]), f"{file.name}, {name}: {step['uses']}"
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, f"{file.name}, {name}"


def test_no_text_of_a_stranger_is_put_into_a_script():
    for file, name, job in _jobs():
        for step in job.get("steps", ()):
            assert "${{" not in step.get("run", ""), f"{file.name}, {name}: pass it by an environment variable"


def test_make_targets_are_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = [step.get("run", "") for _, _, job in _jobs() for step in job.get("steps", ())]
    targets = {target for run in steps for target in re.findall(r"^make (\S+)", run, re.MULTILINE)}
    assert targets == {"lint", "test"}
    assert all(f"\n{target}:" in makefile for target in targets)


def test_forms_link_to_pages_that_are_there():
    for link in _load(GITHUB / "ISSUE_TEMPLATE" / "config.yml")["contact_links"]:
        page = link["url"].removeprefix(f"{REPOSITORY}/")
        assert page == "security/advisories/new" or (ROOT / page.removeprefix("blob/main/")).is_file(), page


def test_the_community_files_name_a_way_to_reach_us():
    for name in ("SECURITY.md", "CODE_OF_CONDUCT.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert f"{REPOSITORY}/security/advisories/new" in text
        assert "[INSERT" not in text
