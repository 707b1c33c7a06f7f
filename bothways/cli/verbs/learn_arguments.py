"""What the training verbs share: `--set NAME=VALUE` for the rarer arguments, common options, progress bars."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import typer
from pydantic import ValidationError
from rich.progress import Progress

from bothways.cli.output import err, out
from bothways.core.errors import UsageError
from bothways.learning.arguments import Arguments
from bothways.learning.rank_measures import MEASURE

A = TypeVar("A", bound=Arguments)

OutOption: TypeAlias = Annotated[Path, typer.Option("--out", help="folder of the model; a new one unless --resume")]
EpochsOption: TypeAlias = Annotated[float, typer.Option(help="times that each question is learnt")]
QuestionsOption: TypeAlias = Annotated[
    int | None, typer.Option("--max-questions", help="learn from at most so many questions; people's first")
]
MinutesOption: TypeAlias = Annotated[
    float | None, typer.Option(min=0.01, help="stop the training after so many minutes; the best model so far is kept")
]
ResumeOption: TypeAlias = Annotated[bool, typer.Option("--resume", help="continue the interrupted run in --out")]


class Settable:
    """The arguments that `--set` offers: those of some models with their defaults, but for those with own options.

    The names of a model given by keyword begin with that word. A name that two models have is set in both.
    """

    def __init__(self, *models: Arguments, options: Sequence[str] = (), **named: Arguments) -> None:
        self._prefixes = {
            **{type(model): "" for model in models},
            **{type(model): f"{prefix}_" for prefix, model in named.items()},
        }
        self._about = {
            f"{self._prefixes[type(model)]}{name}": (getattr(model, name), field.description or "")
            for model in (*models, *named.values())
            for name, field in type(model).model_fields.items()
        }
        for name in options:
            del self._about[name]

    def option(self) -> Any:  # noqa: ANN401 - typer's
        """Return the option `--set`."""
        return typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="set a rarer argument; `--set help` lists them; repeatable",
            callback=self._check,
            is_eager=True,
        )

    def apply(self, given: Sequence[str] | None, defaults: A, **options: Any) -> A:  # noqa: ANN401
        """Return a model with the values of its own options and of `--set`; raise `UsageError` where one is wrong."""
        prefix = self._prefixes[type(defaults)]
        values = dict(text.split("=", 1) for text in given or ())
        fields = type(defaults).model_fields
        own = {name: values[prefix + name] for name in fields if prefix + name in values}
        try:
            return type(defaults)(**{**defaults.model_dump(), **options, **own})
        except ValidationError as error:
            wrong = "; ".join(f"{prefix}{row['loc'][0]}={row['input']}: {row['msg']}" for row in error.errors())
            raise UsageError(f"{wrong}.") from error

    def _check(self, given: list[str] | None) -> list[str] | None:
        for text in given or ():
            if text == "help":
                for name, (default, description) in self._about.items():
                    shown = (
                        "unset" if default is None else str(default).lower() if default in (True, False) else default
                    )
                    out.print(f"{name}={shown}  {description}", markup=False, highlight=False, soft_wrap=True)
                raise typer.Exit
            name, equals, _ = text.partition("=")
            if not equals or name not in self._about:
                raise UsageError(f"--set {text[:60]}: wants NAME=VALUE with one of {', '.join(self._about)}.")
        return given


def command_line() -> str:
    """Return the command that is running, for reports and model cards."""
    return shlex.join(["bothways", *sys.argv[1:]])


@contextmanager
def training_bars(*tasks: str) -> Iterator[tuple[Callable[..., None], ...]]:
    """Show a progress bar for each task, the last of them a training; without a terminal, lines.

    Yields a function for each task, to be called with (done, of), and for the training also with its log.
    """
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        ids = [bar.add_task(task, total=None) for task in tasks]

        def counter(number: int) -> Callable[[int, int], None]:
            return lambda done, of: bar.update(ids[number], completed=done, total=of)

        def on_log(step: int, of: int, logs: Mapping[str, Any]) -> None:
            bar.update(ids[-1], completed=step, total=of)
            if not err.is_terminal or f"eval_{MEASURE}" in logs:
                err.print(_training_line(step, of, logs), markup=False)

        try:
            yield (*(counter(number) for number in range(len(tasks) - 1)), on_log)
        except KeyboardInterrupt:
            err.print("Add --resume to continue with what is in --out.")
            raise


def _training_line(step: int, of: int, logs: Mapping[str, Any]) -> str:
    shown = {
        name.removeprefix("eval_"): logs[name]
        for name in ("loss", f"eval_{MEASURE}", "eval_mrr@10", "train_loss")
        if name in logs
    }
    return f"step {step} of {of}  " + "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
