"""`bothways learn`: what a collection teaches, as proposals that people review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bothways.cli.options import CollectionOption, JsonOption
from bothways.cli.output import err, out, print_json, printable
from bothways.core.errors import SynonymsError
from bothways.core.settings import settings
from bothways.learning.synonyms.association import Bounds
from bothways.learning.synonyms.build import mine_synonyms
from bothways.learning.synonyms.mine import Mined
from bothways.learning.synonyms.proposal import write_proposal

DEFAULTS = Bounds()
_SHOWN = 10


def synonyms(
    collection: CollectionOption,
    out_file: Annotated[Path, typer.Option("--out", help="the proposal to write; a file that is there stays")],
    at_most: Annotated[int, typer.Option(min=1, max=10_000, help="candidates to propose")] = 300,
    min_chunks: Annotated[int, typer.Option(min=2, help="chunks that a pair is seen in")] = DEFAULTS.min_chunks,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="association of a pair")] = DEFAULTS.min_score,
    per_term: Annotated[int, typer.Option(min=1, max=20, help="partners of one term")] = DEFAULTS.per_term,
    accept_above: Annotated[
        float | None, typer.Option(min=0, max=1, help="switch rules of this score on without a review")
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="do not ask the language model")] = False,
    as_json: JsonOption = False,
) -> None:
    """Propose synonyms from questions and texts; none acts until it is applied.

    Propose synonyms: terms of texts that stand where questions use others. Nothing is in force until applied.
    """
    if out_file.exists():
        raise SynonymsError(f"{out_file} is there, perhaps with what you chose in it: name another file.")
    bounds = Bounds(min_chunks=min_chunks, min_score=min_score, per_term=per_term)
    with err.status("counting terms") as status:
        mined = mine_synonyms(
            settings(), collection, bounds, at_most=at_most, check=not no_check, progress=status.update
        )
    write_proposal(out_file, mined.candidates, collection=collection, accept_above=accept_above)
    if as_json:
        print_json(_as_dict(mined, out_file))
    else:
        _show(mined, out_file)


def _as_dict(mined: Mined, out_file: Path) -> dict[str, object]:
    return {
        "candidates": [
            {
                "asked": one.asked,
                "found": one.found,
                "score": round(one.association.score, 4),
                "chunks": one.association.together,
                "verdict": one.verdict,
            }
            for one in mined.candidates
        ],
        "known": mined.known,
        "judged": mined.judged,
        "refused": len(mined.refused),
        "refusal_rate": round(mined.refusal_rate, 4),
        "unjudged": mined.unjudged,
        "trouble": mined.trouble,
        "out": str(out_file),
    }


def _show(mined: Mined, out_file: Path) -> None:
    for one in mined.candidates[:_SHOWN]:
        of = one.association
        out.print(printable(f"{of.score:.2f}  {one.asked} → {one.found}  ({of.together} chunks)"), markup=False)
    if len(mined.candidates) > _SHOWN:
        out.print(f"… and {len(mined.candidates) - _SHOWN} more")
    if mined.judged:
        err.print(
            f"The language model refused {len(mined.refused)} of {mined.judged} ({mined.refusal_rate:.0%}) with "
            f"{mined.calls} calls; those are not in the file."
        )
    if mined.unjudged:
        err.print(f"{mined.unjudged} could not be checked ({mined.trouble})", markup=False)
    err.print(
        f"{len(mined.candidates)} candidates are in {out_file}, {mined.known} more are in force already. Switch on "
        f"what is right, then: bothways synonyms apply {out_file} --add",
        markup=False,
    )
