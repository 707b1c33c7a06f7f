"""docs/reference/cli.md: every command with its arguments and options, as the command line itself declares them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from bothways.cli.main import app
from bothways.core.text.markdown import markdown_table

Command = Any
"""A command or group of typer's own copy of click, which has no public name."""

INTRODUCTION = """# Command line

Made of the commands themselves; `bothways COMMAND --help` says the same on a terminal.

Exit codes: 0 done, 1 the work failed, 2 bad usage. An error is one line on stderr; `bothways --debug ...` shows the
traceback. `--json` prints only JSON on stdout.
"""


def cli_page() -> str:
    """Return the page as Markdown."""
    root = typer.main.get_command(app)
    commands = list(_walk(root, typer.Context(root, info_name="bothways")))
    rows = ((_link(path), _first_sentence(command)) for path, command in commands)
    lines = [INTRODUCTION, markdown_table(("command", "does"), rows), ""]
    for path, command in commands:
        lines += _section(path, command)
    return "\n".join(lines).rstrip() + "\n"


def _walk(command: Command, context: typer.Context) -> Iterator[tuple[str, Command]]:
    """Yield all commands that do something, with their full name."""
    if not isinstance(command, TyperGroup):
        yield context.command_path, command
        return
    if command.invoke_without_command and context.parent:
        yield context.command_path, command
    for name in command.list_commands(context):
        child = command.commands[name]  # its help alone is what `get_command` gives
        if child and not child.hidden:
            yield from _walk(child, typer.Context(child, info_name=name, parent=context))


def _section(path: str, command: Command) -> Iterator[str]:
    yield f"## {path}"
    yield ""
    yield _text(command.help or "")
    yield ""
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    arguments = [one for one in shown if isinstance(one, TyperArgument)]
    if arguments:
        yield markdown_table(("argument", "what it is"), ((f"`{_metavar(one)}`", _help(one)) for one in arguments))
        yield ""
    options = [one for one in shown if isinstance(one, TyperOption)]
    if options:
        rows = ((_names(one), _default(one), _help(one)) for one in options)
        yield markdown_table(("option", "default", "what it does"), rows)
        yield ""


def _link(path: str) -> str:
    return f"[`{path}`](#{path.replace(' ', '-')})"


def _names(option: TyperOption) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    return names if option.is_flag else f"{names} {_kind(option)}"


def _kind(option: TyperOption) -> str:
    """Return what stands behind an option's name: its choices, or the name of its type."""
    kind = option.type_descriptor.annotation
    inner = [one for one in get_args(kind) if one is not type(None)] or [kind]
    if get_origin(inner[0]) is Literal:
        inner = list(get_args(inner[0]))
    if isinstance(inner[0], str):
        return "|".join(inner)
    if isinstance(inner[0], type) and issubclass(inner[0], Enum):
        return "|".join(str(one.value) for one in inner[0])
    names = {int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}
    return option.metavar or names.get(inner[0], "TEXT")


def _metavar(argument: TyperArgument) -> str:
    name = (argument.metavar or argument.name or "").upper()
    return name if argument.required else f"[{name.strip('[]')}]"


def _default(option: TyperOption) -> str:
    if option.required:
        return "required"
    value = option.default
    if value is None or value is False or callable(value) or "Sentinel" in type(value).__name__ or value == ():
        return ""
    return f"`{'yes' if value is True else value}`"


def _help(parameter: TyperArgument | TyperOption) -> str:
    return str(getattr(parameter, "help", None) or "")


def _first_sentence(command: Command) -> str:
    return _text(command.help or "").split("\n\n")[0].partition(". ")[0].rstrip(".") + "."


def _text(text: str) -> str:
    """Return a help text without the marks that click and rich read."""
    return re.sub(r"\\?\[/?(bold|dim|italic)\]", "", text.replace("\b", "")).strip()
