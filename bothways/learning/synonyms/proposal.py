"""The proposal: a file of rules that are all switched off, each below its evidence, for a person to switch on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bothways.core.errors import SynonymsError
from bothways.core.machine.private_files import private_folder
from bothways.learning.synonyms.candidates import Candidate

_SHOWN = 80


def write_proposal(
    path: Path, candidates: Sequence[Candidate], *, collection: str, accept_above: float | None = None
) -> None:
    """Write the candidates to a new file; rules scoring `accept_above` or more are on. A file that is there stays."""
    text = "".join(f"{line}\n" for line in proposal_lines(candidates, collection, accept_above, path))
    try:
        private_folder(path.parent, narrow=False)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SynonymsError(f"{path} is there, perhaps with what you chose in it: name another file.") from None
    except OSError as error:
        raise SynonymsError(f"The proposal {path} cannot be written: {error}.") from error


def proposal_lines(
    candidates: Iterable[Candidate], collection: str, accept_above: float | None, path: Path
) -> Iterator[str]:
    """Return the lines of the file. Evidence begins with `##`, a rule that is off with `# `."""
    yield f"## Synonyms proposed for the collection {collection} by `bothways learn synonyms`, strongest first."
    yield "## A rule acts when its line does not begin with #. Take the `# ` from those that are right, then:"
    yield f"##   bothways synonyms apply {_one_line(path.name)} --add"
    yield "## score: 1 where the two never stand without each other, 0 where that is chance."
    for candidate in candidates:
        yield ""
        yield from _evidence(candidate)
        is_on = accept_above is not None and candidate.association.score >= accept_above
        yield f"{'' if is_on else '# '}{candidate.rule}"


def _evidence(candidate: Candidate) -> Iterator[str]:
    of = candidate.association
    said = "" if candidate.verdict is None else "; the language model says yes"
    yield (
        f"## score {of.score:.2f}: of {of.asked_in} chunks asked for with {of.asked}, {of.together} say {of.found}; "
        f"{of.found_in} of {of.chunks} texts do (G² {of.g2:.0f}){said}"
    )
    for example in candidate.examples:
        yield f"##   {_one_line(example.question)} → {_one_line(example.title)}"


def _one_line(text: str) -> str:
    """Put text of documents on one line: a line of its own could be a rule."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
