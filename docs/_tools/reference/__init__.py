"""The reference pages, made of the code: commands, routes, settings, filters, formats, benchmarks, and openapi.json.

`python -m docs._tools reference` writes them to docs/reference; a test fails while one of them is out of date.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bothways.api.app import create_app
from bothways.core.settings import load_settings
from docs._tools.pages import ROOT
from docs._tools.reference.benchmarks import benchmarks_page
from docs._tools.reference.cli import cli_page
from docs._tools.reference.filters import filters_page
from docs._tools.reference.formats import formats_page
from docs._tools.reference.http import http_page
from docs._tools.reference.settings import settings_page

FOLDER = ROOT / "docs" / "reference"
OPENAPI = FOLDER / "openapi.json"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI description of the server, without the version, which every release changes."""
    description = create_app(load_settings(feedback=False)).openapi()
    description["info"].pop("version", None)
    return description


def make_pages() -> dict[str, str]:
    """Return the content of each file of docs/reference by its name."""
    description = openapi()
    return {
        "cli.md": cli_page(),
        "http.md": http_page(description),
        "settings.md": settings_page(),
        "filters.md": filters_page(description),
        "formats.md": formats_page(),
        "benchmarks.md": benchmarks_page(ROOT / "benchmarks"),
        "openapi.json": json.dumps(description, ensure_ascii=False, indent=1) + "\n",
    }


def out_of_date(pages: Mapping[str, str]) -> list[str]:
    """Return the names of pages whose committed file differs from what the code makes now."""
    return [name for name, text in pages.items() if not _is_current(name, text)]


def write_pages(pages: Mapping[str, str]) -> None:
    """Write the pages to docs/reference."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _is_current(name: str, text: str) -> bool:
    file = FOLDER / name
    return file.is_file() and file.read_text(encoding="utf-8") == text
