"""`bothways eval tune`: the parameters of the fusion, chosen on judged queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from bothways.cli.options import CollectionOption, JsonOption
from bothways.cli.output import err, out, print_json
from bothways.cli.verbs.evaluate import AllowLeaksOption, QrelsOption, SplitOption
from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder
from bothways.core.settings import settings
from bothways.core.text.markdown import markdown_table
from bothways.evaluation.judged.queries import load_queries, take_split
from bothways.evaluation.report.markdown import between, not_significant, p_value, signed
from bothways.evaluation.tune.fusion import SETTINGS_HEAD, Tuning, settings_lines, tune
from bothways.evaluation.tune.grid import GRIDS, Value, as_setting, make_grid
from bothways.search.build import build_searcher

_SHOWN = 10


def tune_fusion(
    queries: Annotated[
        Path, typer.Argument(metavar="QUERIES", help="judged queries to choose by; not those that you report on")
    ],
    collection: CollectionOption,
    qrels: QrelsOption = None,
    split: SplitOption = None,
    params: Annotated[str, typer.Option(help=f"what to tune, separated by commas: {', '.join(GRIDS)}")] = (
        "fusion,convex.weight,rrf.weights,rank_constant"
    ),
    values: Annotated[
        list[str] | None,
        typer.Option("--values", help="PARAM=V,V,...: values to try instead of the usual ones; repeatable"),
    ] = None,
    measure: Annotated[str, typer.Option(help="measure to maximise")] = "ndcg@10",
    folds: Annotated[int, typer.Option(min=2, max=50, help="folds of the cross-validation")] = 5,
    allow_leaks: AllowLeaksOption = False,
    write: Annotated[Path, typer.Option("--write", help="settings file to write")] = Path("tuned.env"),
    as_json: JsonOption = False,
) -> None:
    """Find the best fusion parameters for a collection, as a settings file."""
    refuse_to_overwrite(write, SETTINGS_HEAD)
    options = settings().search
    grid = make_grid(
        [name.strip() for name in params.split(",")], options, dict(_values(pair) for pair in values or [])
    )
    judged = take_split(load_queries(queries, qrels), split)
    searcher, _ = build_searcher(settings())
    with bars() as advance:
        found = tune(
            searcher,
            collection,
            judged,
            grid,
            options=options,
            measure=measure,
            folds=folds,
            allow_leaks=allow_leaks,
            progress=advance,
        )
    if found.improves:
        lines = settings_lines(found, collection=collection, queries_file=queries.name)
        private_folder(write.parent, narrow=False)
        write.write_text(lines, encoding="utf-8")
    if as_json:
        print_json({**asdict(found), "written": str(write) if found.improves else None})
    else:
        _show(found, write)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _floats(text: str, option: str) -> list[float]:
    try:
        return [float(word) for word in _words(text)]
    except ValueError as error:
        raise UsageError(f"{option} wants numbers by commas, not {text[:40]!r}.") from error


def _values(pair: str) -> tuple[str, Sequence[Value]]:
    name, equals, values = pair.partition("=")
    if not equals or not _words(values):
        raise UsageError(f"--values wants PARAM=V,V,..., not {pair[:80]!r}.")
    return name.strip(), _words(values) if name.strip() == "fusion" else _floats(values, "--values")


def refuse_to_overwrite(path: Path, head: str) -> None:
    """Leave alone what is not a settings file of ours: `--write .env` would lose the user's other settings."""
    if path.is_dir() or (path.exists() and not path.read_bytes().startswith(head.encode())):
        by = head.removeprefix("# Chosen by ")
        raise UsageError(f"{path} is there and was not written by {by}: name another file by --write.")


@contextmanager
def bars() -> Iterator[Callable[[str, int], None]]:
    """One bar a task, made when it is first heard of."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(task: str, of: int) -> None:
            if task not in tasks:
                tasks[task] = bar.add_task(task, total=of)
            bar.advance(tasks[task])

        yield advance


def _show(found: Tuning, write: Path) -> None:
    gain = found.gain
    fields = list(found.best)
    rows = [[*(as_setting(trial[field]) for field in fields), f"{mean:.4f}"] for trial, mean in found.trials[:_SHOWN]]
    now = ", ".join(f"{field} {as_setting(value)}" for field, value in found.current.items())
    best = ", ".join(f"{field} {as_setting(value)}" for field, value in found.best.items())
    lines = [
        f"{found.queries} queries, {len(found.trials)} combinations, {found.measure}",
        markdown_table([*fields, found.measure], rows),
        "single legs: " + ", ".join(f"{leg} {mean:.4f}" for leg, mean in found.legs.items()),
        f"in use now ({now}): {found.current_mean:.4f}",
        f"chosen ({best}): {found.best_mean:.4f}, held out {found.held_out.mean:.4f} {between(found.held_out)}",
        f"gain: {signed(gain.difference.mean)} {between(gain.difference, sign=True)}, p {p_value(gain.p)}"
        + not_significant(gain),
        f"Written to {write}: append it to .env, or `set -a; . {write}`."
        if found.improves
        else "Nothing better than what is in use was found; nothing is written.",
    ]
    out.print("\n\n".join(lines), markup=False)
