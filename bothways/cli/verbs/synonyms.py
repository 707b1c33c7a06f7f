"""`bothways synonyms apply | show`: the rules that searches by words use, put into force and proved on the server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from elasticsearch import Elasticsearch

from bothways.cli.options import JsonOption
from bothways.cli.output import err, out, print_json, printable
from bothways.core.analysis import Segmenter, load_segmenter
from bothways.core.collections.collection import list_collections
from bothways.core.machine.private_files import private_folder
from bothways.core.settings import Settings, settings
from bothways.core.synonyms import Rule, read_rules_file
from bothways.indexer.synonyms import Applied, apply, find_sources, in_force
from bothways.node.connect import connect

NOBODY = "no collection yet"

OneCollection = Annotated[
    str | None, typer.Option("--collection", "-c", help="only the synonyms that this collection uses")
]


def apply_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="rules, one on each line: `a, b, c` or `a, b => c`")],
    collection: OneCollection = None,
    add: Annotated[bool, typer.Option("--add", help="add to the rules in force; otherwise FILE replaces them")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put the rules of a file into force, and prove that each of them acts.

    Where a rule is wrong or does not act, everything stays as it was.
    """
    chosen = settings()
    segmenter = load_segmenter(chosen)
    rules = read_rules_file(file, segmenter)
    client, _ = connect(chosen)
    places = find_sources(client, chosen, collection)
    private_folder(chosen.cache_dir, narrow=False)
    lock = chosen.cache_dir / "synonyms.lock"
    applied = [apply(client, place, rules, add=add, lock=lock) for place in places]
    if as_json:
        print_json([one.as_dict() for one in applied])
    else:
        for one in applied:
            _tell(one)
    _warn(chosen, file, applied)
    _warn_of_other_analysis(client, segmenter, applied)


def show(collection: OneCollection = None, as_json: JsonOption = False) -> None:
    """Show the rules in force, which indices use them, and which do not act."""
    client, _ = connect(settings())
    found = [in_force(client, place) for place in find_sources(client, settings(), collection)]
    if as_json:
        print_json([one.as_dict() for one in found])
        return
    for one in found:
        out.print(f"## {one.place}: {len(one.rules)} rules, used by {', '.join(one.used_by) or NOBODY}", markup=False)
        for rule in one.rules:
            out.print(printable(str(rule)), markup=False)
        if one.idle:
            err.print(f"{len(one.idle)} rules do not act ({_named(one.idle)}): apply a file anew.", markup=False)


def _tell(applied: Applied) -> None:
    out.print(applied.place, markup=False)
    for sign, rules in (("+", applied.added), ("-", applied.removed)):
        for rule in rules:
            out.print(printable(f"  {sign} {rule}"), markup=False)
    what = "" if applied.in_force else "to come: "
    out.print(
        f"  {what}{len(applied.added)} added, {len(applied.removed)} removed, {len(applied.kept)} unchanged"
        + (f"; proved in {', '.join(applied.proved_in)}" if applied.in_force and applied.proved_in else ""),
        markup=False,
    )


def _warn(chosen: Settings, file: Path, applied: Sequence[Applied]) -> None:
    """Say what the user has to do beside."""
    for one in applied:
        if not one.in_force:
            err.print(
                f"{one.place} has its rules inside: with BOTHWAYS_SYNONYMS_PATH={file}, the next `bothways index PATH "
                "--collection NAME --recreate` brings them.",
                markup=False,
            )
        elif not one.proved_in:
            err.print(f"{one.place} is used by {NOBODY}, so nothing could be proved.", markup=False)
    mine = chosen.synonyms_path
    if mine is not None and str(mine.absolute()) not in {str(file.absolute()), *(one.place for one in applied)}:
        err.print(
            f"The next `bothways es up` installs BOTHWAYS_SYNONYMS_PATH ({mine}) again: put these rules there too, or "
            "unset it.",
            markup=False,
        )


def _warn_of_other_analysis(client: Elasticsearch, segmenter: Segmenter, applied: Sequence[Applied]) -> None:
    used = {index for one in applied for index in one.proved_in}
    for collection, _, _ in list_collections(client):
        if collection.index in used and collection.analyzer != segmenter.name:
            err.print(
                f"The collection {collection.name} was cut by {collection.analyzer}, these rules by {segmenter.name}: "
                "some may not match its texts.",
                markup=False,
            )


def _named(rules: Sequence[Rule]) -> str:
    return printable("; ".join(str(rule) for rule in rules[:5])) + ("; …" if len(rules) > 5 else "")
