"""Learning from expansions: every sample of every judged query with its reward, on disk as soon as it is known.

`OUT/run.json` says what the run was begun with, `OUT/queries.jsonl` has a line a query without expansion,
`OUT/samples.jsonl` one a sample. A run that was cut off goes on behind the last whole line; samples for which the
language model was out of reach are tried again, the later line counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from bothways.core.errors import UsageError
from bothways.learning.expansion.samples import Sample, SampleRequest, Source
from bothways.learning.run_folder import RunFolder
from bothways.search.query.rewrite import clean_pseudo_doc

RUN, QUERIES, SAMPLES = "run.json", "queries.jsonl", "samples.jsonl"

FirstPass = Callable[[str], Mapping[str, Any]]
"""What a query's search gives without expansion, by its id; `value` is the measure's."""
Expanded = Callable[[str, str], float]
"""The measure's value of a query, by its id, with a pseudo-document."""
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Rewarded:
    """A sample with the change that it brought; 0 where it failed, for a search goes on without it."""

    sample: Sample
    reward: float


@dataclass(frozen=True, slots=True)
class Samples:
    """All rows: of each query its line and its samples in order; `without` counts queries that had no expansion."""

    queries: Mapping[str, Mapping[str, Any]]
    samples: Mapping[str, Sequence[Rewarded]]
    without: int

    @property
    def failed(self) -> int:
        """The samples that failed."""
        return sum(bool(rewarded.sample.error) for some in self.samples.values() for rewarded in some)


def collect(
    folder: Path,
    questions: Mapping[str, str],
    source: Source,
    begun_with: Mapping[str, Any],
    first_pass: FirstPass,
    expanded: Expanded,
    *,
    resume: bool = False,
    progress: Progress = lambda _task, _of: None,
) -> Samples:
    """Get all samples and their rewards; `questions` are texts by query id, `begun_with` what a resume compares.

    Raises `UsageError` where the folder is taken and `resume` is not asked for, where there is nothing to go on with,
    where it was begun with something else, and where no query has an expansion.
    """
    numbers = {query_id: source.numbers(query_id, text) for query_id, text in questions.items()}
    asked = {query_id: text for query_id, text in questions.items() if numbers[query_id]}
    if not asked:
        raise UsageError(f"None of the {len(questions)} queries has an expansion in {source.name}.")
    run, identity = RunFolder(out=folder, state=RUN, kind="run"), {**begun_with, **source.identity}
    if resume:
        run.require_same(run.read(), identity)
    else:
        run.begin()
        run.write(identity)
    known = {row["query_id"]: row for row in _rows(folder / QUERIES)}
    done = {(row["query_id"], row["sample"]): row for row in _rows(folder / SAMPLES)}
    with (folder / QUERIES).open("a", encoding="utf-8") as queries:
        for query_id, text in asked.items():
            if query_id not in known:
                known[query_id] = {"query_id": query_id, "query": text, **first_pass(query_id)}
                _write(queries, known[query_id])
            progress("searching", len(asked))
    missing = [
        SampleRequest(query_id, text, number)
        for query_id, text in asked.items()
        for number in numbers[query_id]
        if (query_id, number) not in done or done[query_id, number].get("passing")
    ]
    with (folder / SAMPLES).open("a", encoding="utf-8") as samples, closing(source.samples(missing)) as found:
        for sample in found:
            row = _row(sample, float(known[sample.query_id]["value"]), expanded)
            done[sample.query_id, sample.number] = row
            _write(samples, row)
            progress("expanding", len(missing))
    return Samples(
        {query_id: known[query_id] for query_id in asked},
        {query_id: [_rewarded(done[query_id, number]) for number in numbers[query_id]] for query_id in asked},
        len(questions) - len(asked),
    )


def _row(sample: Sample, plain: float, expanded: Expanded) -> dict[str, Any]:
    row: dict[str, Any] = {"query_id": sample.query_id, "sample": sample.number}
    if sample.error:
        return {**row, "error": sample.error, "passing": sample.passing, "reward": 0.0}
    value = expanded(sample.query_id, clean_pseudo_doc(sample.text))
    return {**row, "text": sample.text, "value": value, "reward": value - plain}


def _rewarded(row: Mapping[str, Any]) -> Rewarded:
    sample = Sample(
        query_id=row["query_id"],
        number=row["sample"],
        text=row.get("text", ""),
        error=row.get("error", ""),
        passing=bool(row.get("passing")),
    )
    return Rewarded(sample, float(row["reward"]))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read the whole lines of a file that may have been cut off in its last one, and cut that off."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
            _ = row["query_id"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}, line {number} is damaged ({error}): begin anew in another folder.") from error
        yield row


def _write(stream: TextIO, row: Mapping[str, Any]) -> None:
    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    stream.flush()
