"""A teacher's logits of groups, on disk in shards: what hours of a large model gave is not computed twice.

Groups go in; `logits/00000.jsonl`, ... come out, each whole or not there: one line a group with its key, a logit for
each passage, the answer's first. The first line of each says how many pairs and seconds it took.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bothways.core.batches import batched
from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder, write_private
from bothways.learning.reranker.data.groups import Group

SHARD = 64
"""Groups of a shard: minutes of a large model, and what is lost when it is cut off."""

Progress = Callable[[int, int], None]


class Scorer(Protocol):
    """What gives one logit a pair, in the order of the pairs."""

    def score(self, pairs: Sequence[tuple[str, str]], *, batch_size: int) -> list[float]:
        """Return the logits."""
        ...


def write_logits(
    groups: Sequence[Group],
    load: Callable[[], Scorer],
    folder: Path,
    *,
    batch_size: int,
    progress: Progress = lambda _done, _of: None,
) -> int:
    """Score the shards that are missing and return their number; the teacher is loaded only if there are any."""
    private_folder(folder, narrow=False)
    missing = [(path, shard) for path, shard in _shards(groups, folder) if not path.is_file()]
    done = len(groups) - sum(len(shard) for _, shard in missing)
    teacher = load() if missing else None
    for path, shard in missing:
        assert teacher is not None  # noqa: S101 - loaded where a shard is missing
        pairs = [(group.query, text) for group in shard for text in group.passages]
        begun = time.perf_counter()
        logits = iter(teacher.score(pairs, batch_size=batch_size))
        seconds = time.perf_counter() - begun
        rows: list[dict[str, object]] = [{"pairs": len(pairs), "seconds": round(seconds, 4)}]
        rows += [{"key": group.key, "logits": [next(logits) for _ in group.passages]} for group in shard]
        write_private(path, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        done += len(shard)
        progress(done, len(groups))
    return len(missing)


def read_logits(groups: Sequence[Group], folder: Path) -> tuple[list[Group], float]:
    """Return the groups with their scores, and the ms that a pair took the teacher.

    Raises `UsageError` where a shard is missing, or is of other groups.
    """
    scored: list[Group] = []
    pairs, seconds = 0, 0.0
    for path, shard in _shards(groups, folder):
        try:
            timing, *rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            pairs, seconds = pairs + timing["pairs"], seconds + timing["seconds"]
            found = [(row["key"], tuple(map(float, row["logits"]))) for row in rows]
        except FileNotFoundError as error:
            raise UsageError(f"There are no teacher's logits in {path}: run the step `logits` first.") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{path} cannot be read: {error}. Remove it, and run the step `logits` again.") from error
        if [(key, len(logits)) for key, logits in found] != [(group.key, len(group.passages)) for group in shard]:
            raise UsageError(f"{path} is of other groups: run the step `logits` in another folder.")
        scored += [replace(group, scores=logits) for group, (_, logits) in zip(shard, found, strict=True)]
    return scored, 1000 * seconds / pairs if pairs else math.nan


def _shards(groups: Sequence[Group], folder: Path) -> Iterator[tuple[Path, Sequence[Group]]]:
    for number, shard in enumerate(batched(groups, SHARD)):
        yield folder / f"{number:05}.jsonl", shard
