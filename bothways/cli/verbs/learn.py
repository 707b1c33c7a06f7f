"""`bothways learn`: what a collection teaches, as proposals that people review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bothways.cli.options import CollectionOption, JsonOption
from bothways.cli.output import err, out, print_json, printable
from bothways.cli.verbs.learn_arguments import Settable
from bothways.core.errors import SynonymsError
from bothways.core.settings import settings
from bothways.learning.synonyms.association import AssociationThresholds
from bothways.learning.synonyms.build import mine_synonyms
from bothways.learning.synonyms.mine import Mined
from bothways.learning.synonyms.proposal import write_proposal

DEFAULTS = AssociationThresholds()
SETTABLE = Settable(DEFAULTS)
_SHOWN = 10


def synonyms(
    collection: CollectionOption,
    out_file: Annotated[Path, typer.Option("--out", help="new file of the proposal")],
    at_most: Annotated[int, typer.Option(min=1, max=10_000, help="candidates to propose")] = 300,
    set_: Annotated[list[str] | None, SETTABLE.option()] = None,
    accept_above: Annotated[
        float | None, typer.Option(min=0, max=1, help="switch on rules of this score or more without a review")
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="do not let the language model check them")] = False,
    as_json: JsonOption = False,
) -> None:
    """Propose synonyms from questions and texts; none acts until it is applied.

    They are words of texts that stand where questions use other words. The language model, if one is set, checks them.
    """
    if out_file.exists():
        raise SynonymsError(f"{out_file} exists, perhaps with what you chose in it: name another file.")
    thresholds = SETTABLE.apply(set_, DEFAULTS)
    with err.status("counting terms") as status:
        mined = mine_synonyms(
            settings(), collection, thresholds, at_most=at_most, check=not no_check, progress=status.update
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
                "asked": candidate.asked,
                "found": candidate.found,
                "score": round(candidate.association.score, 4),
                "chunks": candidate.association.together,
                "verdict": candidate.verdict,
            }
            for candidate in mined.candidates
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
    for candidate in mined.candidates[:_SHOWN]:
        score, chunks = candidate.association.score, candidate.association.together
        out.print(printable(f"{score:.2f}  {candidate.asked} → {candidate.found}  ({chunks} chunks)"), markup=False)
    if len(mined.candidates) > _SHOWN:
        out.print(f"… and {len(mined.candidates) - _SHOWN} more")
    if mined.judged:
        err.print(
            f"The language model refused {len(mined.refused)} of {mined.judged} ({mined.refusal_rate:.0%}) with "
            f"{mined.calls} calls; these are not in the file."
        )
    if mined.unjudged:
        err.print(f"{mined.unjudged} could not be checked ({mined.trouble})", markup=False)
    err.print(
        f"{len(mined.candidates)} candidates are in {out_file}, {mined.known} more act already. Switch on "
        f"what is right, then: bothways synonyms apply {out_file} --add",
        markup=False,
    )
