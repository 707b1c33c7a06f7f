"""The documentation: `python -m docs._tools` builds the site, strictly; with `reference` it writes docs/reference anew.

Exit code 1 comes with a list of all problems: links to nothing, or changes of the API that would break its callers.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs._tools import links
from docs._tools.pages import NAMES, ROOT, navigation
from docs._tools.reference import OPENAPI, make_pages, out_of_date, write_pages
from docs._tools.reference.breaking import breaking_changes
from docs._tools.stage import stage, title_of

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CONFIG = ROOT / "docs" / "_tools" / "zensical.toml"


def build(work: Path) -> tuple[Path, list[str]]:
    """Build the site below `work`. Return its folder and all problems; with any, it must not be published."""
    staged, problems = stage()
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


def reference(*, accept_breaking: bool) -> list[str]:
    """Write docs/reference anew. Return what would break callers of the API: then nothing is written."""
    pages = make_pages()
    if OPENAPI.is_file() and not accept_breaking:
        old = json.loads(OPENAPI.read_text(encoding="utf-8"))
        if broken := breaking_changes(old, json.loads(pages["openapi.json"])):
            return [*broken, "These changes break callers of the API. If that is meant: --accept-breaking."]
    changed = out_of_date(pages)
    write_pages(pages)
    sys.stdout.write(f"docs/reference: {', '.join(changed) or 'nothing'} changed.\n")
    return []


def main() -> int:
    """Build the site or the reference pages."""
    parser = argparse.ArgumentParser(prog="python -m docs._tools", description="Build the documentation.")
    parser.add_argument("what", nargs="?", choices=("site", "reference"), default="site")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "docs", help="folder to build the site in")
    parser.add_argument("--accept-breaking", action="store_true", help="write openapi.json even if callers would break")
    given = parser.parse_args()
    if given.what == "reference":
        problems = reference(accept_breaking=given.accept_breaking)
    else:
        site, problems = build(given.work.absolute())
        if not problems:
            sys.stdout.write(f"The documentation is in {site}.\n")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
