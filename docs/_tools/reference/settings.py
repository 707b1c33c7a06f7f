"""docs/reference/settings.md: every setting with its default, as `Settings` declares it."""

from __future__ import annotations

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bothways.core.settings import SETTABLE
from bothways.core.text.markdown import markdown_table
from bothways.schemas.options import SearchDefaults

INTRODUCTION = """# Settings

Read from the environment, else from the file `.env` of the folder in which the program runs. The command line and
requests go before both.

What else there is to choose is fixed, with reasons, in [`core/fixed.py`](../../bothways/core/fixed.py) and
[`schemas/options.py`](../../bothways/schemas/options.py). `BOTHWAYS_FIXED='{"search_queue": 100}'` changes it, for
measurements; `bothways eval tune` writes such a line.
"""


def settings_page() -> str:
    """Return the page as Markdown."""
    rows = (
        (f"`BOTHWAYS_{name.upper()}`", _default(field), _described(field))
        for name, field in sorted(SETTABLE.items(), key=lambda row: row[0] in SearchDefaults.model_fields)
    )
    return "\n".join([INTRODUCTION, markdown_table(("setting", "default", "what it is"), rows), ""]).rstrip() + "\n"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "the user's cache folder"  # the one default that is made at run time
    if field.default is None or field.default == ():
        return ""
    value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _described(field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"a setting has no description: {field!r}")
    return field.description
