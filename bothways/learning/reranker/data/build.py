"""Questions to groups: each is searched for as users do, and what the legs bring besides the answer is learnt from.

Top to bottom: leave out what the model is judged by, draw, search several at once, choose negatives, write passages as
the reranker will read them. The same questions, index and seed give the same groups.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bothways.core.errors import UsageError
from bothways.indexer.workers.overlap import overlapped
from bothways.learning.leakage import KeptOut
from bothways.learning.reranker.data.first_stage import first_stage
from bothways.learning.reranker.data.groups import Asked, Group, draw, part_of
from bothways.learning.reranker.data.hard_negatives import Bounds, Chosen, Legs, choose_negatives
from bothways.models.protocols import LimitedReader
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.rank.window import fitting_passage

_THREADS = 2
_AHEAD = 16
MORE_FOR_DEV = 3
"""Times as many negatives in the groups that are measured: reranking sorts thirty, not six."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one search brought: the legs' rankings, and by chunk the share that a fused score has of the best one's."""

    legs: Legs
    shares: Mapping[str, float] = field(default_factory=dict)


Retrieve = Callable[[Asked], Found]
_Mined = tuple[Asked, Found, Chosen]
Progress = Callable[[int, int], None]
"""Called with the questions done and their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to make of the questions.

    `dev_share`: of people's questions, and of pseudo-questions' answers, that are not trained on; their groups are
    measured, at most about `max_dev`, since that takes time of training. `title_share`: of the groups, in which
    passages have their titles; the others teach to do without. `general` are sources of which at most `general_share`
    of the groups come: what the model is to stay good at.
    """

    negatives: int = 5
    max_groups: int | None = None
    title_share: float = 0.5
    dev_share: float = 0.1
    max_dev: int = 120
    seed: int = 42
    general: tuple[str, ...] = ()
    general_share: float = 0.1
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What became of the questions: read by source, kept out, drawn; groups by part; passages left out by reason."""

    read: Counter[str] = field(default_factory=Counter)
    kept_out: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    without_negatives: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, object]:
        """Give the counts as they stand in a report."""
        return {
            "questions": dict(self.read),
            "kept_out": dict(self.kept_out),
            "drawn": dict(self.drawn),
            "groups": dict(self.groups),
            "without_negatives": self.without_negatives,
            "candidates_left_out": dict(self.left_out),
        }


def searching(searcher: Searcher, *, depth: int) -> Retrieve:
    """Give what asks a collection's legs as `hybrid` does, without what depends on metadata or a language model."""
    options = SearchOptions(strategy="hybrid", top_k=depth, leg_k=depth, self_query=False)

    def retrieve(asked: Asked) -> Found:
        answer = searcher.search(asked.text, asked.collection, options)
        best = max((hit.score for hit in answer.hits), default=0.0)
        shares = {hit.chunk_id: hit.score / best for hit in answer.hits} if best > 0 else {}
        return Found(answer.legs, shares)

    return retrieve


def make_groups(
    asked: Iterable[Asked],
    retrieve: Retrieve,
    reader: LimitedReader,
    wanted: Wanted,
    *,
    kept_out: KeptOut,
    progress: Progress = lambda _done, _of: None,
) -> tuple[list[Group], Counts]:
    """Make groups of questions; raises `UsageError` where there is none to train on, or none to measure by.

    A question for which every candidate may be an answer gives no group.
    """
    counts = Counts()
    drawn = draw(
        _allowed(asked, kept_out, counts),
        at_most=wanted.max_groups,
        seed=wanted.seed,
        general=frozenset(wanted.general),
        general_share=wanted.general_share,
    )
    counts.drawn.update(one.source for one in drawn)
    groups: list[Group] = []
    share = min(wanted.dev_share, wanted.max_dev / max(1, len(drawn)))
    for one, found, chosen in _counted(_mined(drawn, retrieve, wanted, share), len(drawn), progress):
        counts.left_out.update(chosen.left_out)
        if not chosen.hits:
            counts.without_negatives += 1
            continue
        group = _group(one, found, chosen, reader, wanted, share)
        groups.append(group)
        counts.groups[group.part] += 1
    if not counts.groups["train"] or not counts.groups["dev"]:
        raise UsageError(
            f"The questions gave {counts.groups['train']} groups to train on and {counts.groups['dev']} to measure by "
            f"(of {sum(counts.read.values())} questions, {sum(counts.kept_out.values())} kept out): a reranker needs "
            "some hundreds. Index with questions, name more --collection or --beir, or raise --max-groups."
        )
    return groups, counts


def _allowed(asked: Iterable[Asked], kept_out: KeptOut, counts: Counts) -> Iterator[Asked]:
    for one in asked:
        counts.read[one.source] += 1
        if (how := kept_out.finds(one.text)) is not None:
            counts.kept_out[f"{one.source}: {how}"] += 1
        else:
            yield one


def _mined(drawn: Sequence[Asked], retrieve: Retrieve, wanted: Wanted, share: float) -> Iterator[_Mined]:
    def mine(one: Asked) -> _Mined:
        times = MORE_FOR_DEV if part_of(one, dev_share=share) == "dev" else 1
        found = retrieve(one)
        chosen = choose_negatives(
            found.legs,
            one.positive,
            relevant=one.relevant,
            number=wanted.negatives * times,
            bounds=wanted.bounds,
            judged=one.kind == "judged",
            rng=random.Random(f"{wanted.seed}/{one.key}"),  # noqa: S311 - no secret
        )
        return one, found, chosen

    return overlapped(mine, drawn, threads=_THREADS, ahead=_AHEAD, stop=threading.Event(), name="mine")


def _counted(mined: Iterator[_Mined], of: int, progress: Progress) -> Iterator[_Mined]:
    for done, one in enumerate(mined, start=1):
        progress(done, of)
        yield one


def _group(one: Asked, found: Found, chosen: Chosen, reader: LimitedReader, wanted: Wanted, share: float) -> Group:
    """Write a group's passages as `bothways.search.rank.rerank` does, all with their titles or all without."""
    rng = random.Random(f"{wanted.seed}/title/{one.key}")  # noqa: S311 - no secret
    titled = rng.random() < wanted.title_share
    hits = [one.positive, *chosen.hits]
    positive, *negatives = (fitting_passage(one.text, hit.title if titled else "", hit.text, reader) for hit in hits)
    part = part_of(one, dev_share=share)
    first = first_stage(hits, found.legs, found.shares, kind=one.kind)
    return Group(
        key=one.key,
        query=one.text,
        positive=positive,
        negatives=tuple(negatives),
        source=one.source,
        part=part,
        first=first,
        kind=one.kind,
    )
