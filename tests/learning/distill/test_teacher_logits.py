"""Logits on disk in shards: what is there is not asked again, what is of other groups is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bothways.core.errors import UsageError
from bothways.learning.distill.teacher_logits import SHARD, read_logits, write_logits
from bothways.learning.reranker.data.groups import Group

GROUPS = [
    Group(
        key=f"k{number}",
        query="q",
        positive=f"answer {number}",
        negatives=tuple("ab"[: 1 + number % 2]),
        source="made up",
    )
    for number in range(150)
]


class Counting:
    """Scores a pair by the length of its passage; after `cut` calls it is cut off."""

    def __init__(self, cut=99):
        self.calls, self._cut = 0, cut

    def score(self, pairs, *, batch_size):
        if self.calls == self._cut:
            raise KeyboardInterrupt
        self.calls += 1
        return [float(len(text)) for _, text in pairs]


def test_what_was_cut_off_goes_on_with_the_next_shard(tmp_path):
    first, second, progress = Counting(cut=2), Counting(), []
    with pytest.raises(KeyboardInterrupt):
        write_logits(GROUPS, lambda: first, tmp_path, batch_size=8)
    with pytest.raises(UsageError, match="run the step `logits` first"):
        read_logits(GROUPS, tmp_path)
    written = write_logits(
        GROUPS, lambda: second, tmp_path, batch_size=8, progress=lambda done, of: progress.append((done, of))
    )
    assert (first.calls, second.calls, written, progress) == (2, 1, 1, [(150, 150)])
    scored, ms = read_logits(GROUPS, tmp_path)
    assert [group.scores for group in scored] == [tuple(float(len(text)) for text in one.passages) for one in GROUPS]
    assert [replace(group, scores=()) for group in scored] == GROUPS
    assert ms >= 0
    assert math.isfinite(ms)
    assert SHARD == 64


def test_no_teacher_is_loaded_where_all_is_there(tmp_path):
    write_logits(GROUPS, Counting, tmp_path, batch_size=8)
    assert write_logits(GROUPS, lambda: pytest.fail("loaded"), tmp_path, batch_size=8) == 0


def test_other_groups_and_broken_shards_are_refused(tmp_path):
    write_logits(GROUPS, Counting, tmp_path, batch_size=8)
    with pytest.raises(UsageError, match="of other groups"):
        read_logits([replace(group, key=f"z{group.key}") for group in GROUPS], tmp_path)
    (tmp_path / "00001.jsonl").write_text("{", "utf-8")
    with pytest.raises(UsageError, match=r"00001\.jsonl cannot be read"):
        read_logits(GROUPS, tmp_path)
