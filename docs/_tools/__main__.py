"""`python -m docs._tools`: build the documentation as a site, strictly; exit code 1 lists every problem."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bothways.api.app import create_app
from bothways.core.settings import load_settings
from docs._tools import links
from docs._tools.api_reference import api_reference
from docs._tools.pages import API, NAMES, ROOT, navigation
from docs._tools.stage import stage, title_of

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CONFIG = ROOT / "docs" / "_tools" / "zensical.toml"


def build(work: Path) -> tuple[Path, list[str]]:
    """Build the site below `work`; gives its folder, and all problems: then it is not to be published."""
    staged, problems = stage({API: api_reference(create_app(load_settings(feedback=False)).openapi())})
    docs = work / "docs"
    shutil.rmtree(docs, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "pictures", docs / "pictures")
    for path, text in staged.items():
        (docs / path).parent.mkdir(parents=True, exist_ok=True)
        (docs / path).write_text(text, encoding="utf-8")
    (work / "zensical.toml").write_text(_config(staged), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = _COLOUR.sub("", done.stdout + done.stderr).partition("Traceback")[0]
        problems.append(f"zensical: {told.strip()}")
    return work / "site", [*problems, *links.problems(work / "site")]


def _config(staged: dict[str, str]) -> str:
    """Put the navigation into the configuration; JSON's lists and strings are TOML's, too."""
    sections = [
        f"{{{json.dumps(title)} = [{', '.join(_entry(path, staged[path]) for path in paths)}]}}"
        for title, paths in navigation(staged).items()
    ]
    return CONFIG.read_text(encoding="utf-8").replace('nav = "made"', f"nav = [{', '.join(sections)}]")


def _entry(path: str, text: str) -> str:
    name = NAMES.get(path) or title_of(text) or path
    return f"{{{json.dumps(name, ensure_ascii=False)} = {json.dumps(path)}}}"


def main() -> int:
    """Build, and say where it is or what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m docs._tools", description="Build the documentation.")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "docs", help="folder to build in")
    site, problems = build(parser.parse_args().work.absolute())
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if not problems:
        sys.stdout.write(f"The documentation is in {site}.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
