"""Groups of commands whose modules are imported when a command runs: importing all of them takes two seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: the function behind it, as `module:function` of bothways.cli.verbs, and its line in the help."""

    target: str
    help: str
    panel: str | None = None

    def load(self, name: str) -> Any:  # noqa: ANN401 – typer keeps the type private
        """Import the function and return the command that runs it."""
        module, _, function = self.target.partition(":")
        alone = typer.Typer(add_completion=False)
        alone.command(name)(getattr(import_module(f"bothways.cli.verbs.{module}"), function))
        return typer.main.get_command(alone)

    def line(self, name: str) -> Any:  # noqa: ANN401
        """Return what stands for the command in a list of commands."""
        return TyperCommand(name, callback=None, help=self.help, rich_help_panel=self.panel)


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one word. `default` is the one that is meant where none of them is named."""

    verbs: Mapping[str, Verb]
    help: str
    panel: str
    default: str | None = None
    takes_none: bool = False
    """Whether the default command runs without any argument; else the help is shown."""

    def load(self, name: str) -> Any:  # noqa: ANN401
        """Return the group; none of its modules is imported."""
        return Verbs(
            name=name,
            help=self.help,
            rich_help_panel=self.panel,
            no_args_is_help=not self.takes_none,
            verbs=self.verbs,
            default=self.default,
        )

    line = load


class Lazy(MutableMapping[str, Any]):
    """Commands by name; each is loaded when it is looked up."""

    def __init__(self, verbs: Mapping[str, Verb | Group]) -> None:
        self._verbs = verbs
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        if name not in self._loaded:
            self._loaded[name] = self._verbs[name].load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._verbs

    def __iter__(self) -> Iterator[str]:
        return iter(self._verbs)

    def __len__(self) -> int:
        return len(self._verbs)

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401
        raise TypeError(f"{name}: commands are named in bothways/cli/commands.py")

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name}: commands are named in bothways/cli/commands.py")


class Verbs(TyperGroup):
    """A group of commands that are loaded when they run."""

    def __init__(
        self,
        *,
        verbs: Mapping[str, Verb | Group],
        default: str | None = None,
        commands: Any = None,  # noqa: ANN401, ARG002 – typer gives an empty mapping
        **attributes: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**attributes)
        self._verbs = verbs
        self.commands = Lazy(verbs)
        self._default = default

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002
        """Return the names in the order of the table."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002
        """Return what stands for a command in the help."""
        verb = self._verbs.get(cmd_name)
        return None if verb is None else verb.line(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Return the command that was typed, loaded."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else self.commands.get(name, command), rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Put the default command in front of what is none of the others: `eval FILE` is `eval queries FILE`."""
        is_named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        if self._default is not None and not is_named and (args or not self.no_args_is_help):
            args = [self._default, *args]
        return super().parse_args(ctx, args)
