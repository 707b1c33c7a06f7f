"""Questions to groups: each is searched for as users do, and the legs' other hits become negatives.

Top to bottom: leave out what the model is judged by, draw, search several at once, choose negatives, write passages as
the reranker will read them. The same questions, index and seed give the same groups.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from bothways.core.errors import UsageError
from bothways.core.results import Hit
from bothways.indexer.workers.overlap import overlapped
from bothways.learning.arguments import Arguments
from bothways.learning.leakage import LeakageFilter
from bothways.learning.reranker.data.first_stage import first_stage
from bothways.learning.reranker.data.groups import Group, Part, Question, draw, part_of
from bothways.learning.reranker.data.hard_negatives import Legs, Negatives, choose_negatives
from bothways.models.protocols import LimitedReader
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.rank.window import fitting_passage

_THREADS = 2
_AHEAD = 16
MORE_FOR_DEV = 3
"""Times as many negatives in the groups that are measured: reranking sorts thirty, not six."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What one search brought: the legs' rankings, and by chunk the share that a fused score has of the best one's."""

    legs: Legs
    shares: Mapping[str, float] = field(default_factory=dict)


Retrieve = Callable[[Question], Retrieved]
Progress = Callable[[int, int], None]
"""Called with the questions done and their number."""


class MiningOptions(Arguments):
    """What to make of the questions.

    `dev_share`: of people's questions, and of pseudo-questions' answers, that are not trained on; their groups are
    measured, at most about `max_dev`, since that takes time of training. `general` are sources of which at most
    `general_share` of the groups come.
    """

    negatives: int = Field(default=5, ge=1, le=100, description="passages of a group beside the answer")
    max_groups: int | None = Field(default=None, ge=2, description="questions that are drawn; people's first")
    title_share: float = Field(default=0.5, ge=0, le=1, description="share of groups whose passages have their titles")
    dev_share: float = Field(default=0.1, gt=0, lt=1, description="share of the questions kept for measuring")
    max_dev: int = Field(default=120, ge=1, description="groups that are measured")
    seed: int = Field(default=42, ge=0, description="of all that is drawn")
    general: tuple[str, ...] = Field(default=(), description="sources of what the model is to stay good at")
    general_share: float = Field(default=0.1, ge=0, le=0.9, description="largest share of groups from --general")
    depth: int = Field(default=30, ge=1, le=1000, description="ranks of each leg that negatives come from")
    margin: float = Field(
        default=0.95,
        ge=0,
        le=2,
        description="share of the answer's cosine from which a passage is no negative",
    )
    margin_judged: float = Field(default=1.1, ge=0, le=2, description="the same where people judged")


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
        """Return the counts as they stand in a report."""
        return {
            "questions": dict(self.read),
            "kept_out": dict(self.kept_out),
            "drawn": dict(self.drawn),
            "groups": dict(self.groups),
            "without_negatives": self.without_negatives,
            "candidates_left_out": dict(self.left_out),
        }


def searching(searcher: Searcher, *, depth: int) -> Retrieve:
    """Return what asks a collection's legs as `hybrid` does, without what depends on metadata or a language model."""
    options = SearchOptions(strategy="hybrid", top_k=depth, leg_k=depth, self_query=False)

    def retrieve(question: Question) -> Retrieved:
        answer = searcher.search(question.text, question.collection, options)
        best = max((hit.score for hit in answer.hits), default=0.0)
        shares = {hit.chunk_id: hit.score / best for hit in answer.hits} if best > 0 else {}
        return Retrieved(answer.legs, shares)

    return retrieve


def make_groups(
    questions: Iterable[Question],
    retrieve: Retrieve,
    reader: LimitedReader,
    mining: MiningOptions,
    *,
    leakage: LeakageFilter,
    progress: Progress = lambda _done, _of: None,
) -> tuple[list[Group], Counts]:
    """Make groups of questions; raises `UsageError` where there is none to train on, or none to measure by.

    A question for which every candidate may be an answer gives no group.
    """
    counts = Counts()
    drawn = draw(
        _allowed(questions, leakage, counts),
        at_most=mining.max_groups,
        seed=mining.seed,
        general=frozenset(mining.general),
        general_share=mining.general_share,
    )
    counts.drawn.update(question.source for question in drawn)
    groups: list[Group] = []
    dev_share = min(mining.dev_share, mining.max_dev / max(1, len(drawn)))
    for done, (question, retrieved, negatives) in enumerate(_mined(drawn, retrieve, mining, dev_share), start=1):
        progress(done, len(drawn))
        counts.left_out.update(negatives.left_out)
        if not negatives.hits:
            counts.without_negatives += 1
            continue
        rng = random.Random(f"{mining.seed}/title/{question.key}")  # noqa: S311 - no secret
        with_titles = rng.random() < mining.title_share
        part = part_of(question, dev_share=dev_share)
        groups.append(_group(question, retrieved, negatives.hits, reader, with_titles=with_titles, part=part))
        counts.groups[part] += 1
    if not counts.groups["train"] or not counts.groups["dev"]:
        raise UsageError(
            f"The questions gave {counts.groups['train']} groups to train on and {counts.groups['dev']} to measure by "
            f"(of {sum(counts.read.values())} questions, {sum(counts.kept_out.values())} kept out): a reranker needs "
            "some hundreds. Index with questions, name more --collection or --beir, or raise --max-groups."
        )
    return groups, counts


def _allowed(questions: Iterable[Question], leakage: LeakageFilter, counts: Counts) -> Iterator[Question]:
    for question in questions:
        counts.read[question.source] += 1
        if (match := leakage.match(question.text)) is not None:
            counts.kept_out[f"{question.source}: {match}"] += 1
        else:
            yield question


def _mined(
    drawn: Sequence[Question], retrieve: Retrieve, mining: MiningOptions, dev_share: float
) -> Iterator[tuple[Question, Retrieved, Negatives]]:
    def mine(question: Question) -> tuple[Question, Retrieved, Negatives]:
        times = MORE_FOR_DEV if part_of(question, dev_share=dev_share) == "dev" else 1
        retrieved = retrieve(question)
        negatives = choose_negatives(
            retrieved.legs,
            question.positive,
            relevant=question.relevant,
            number=mining.negatives * times,
            depth=mining.depth,
            margin=mining.margin_judged if question.kind == "judged" else mining.margin,
            rng=random.Random(f"{mining.seed}/{question.key}"),  # noqa: S311 - no secret
        )
        return question, retrieved, negatives

    return overlapped(mine, drawn, threads=_THREADS, ahead=_AHEAD, stop=threading.Event(), name="mine")


def _group(
    question: Question,
    retrieved: Retrieved,
    negatives: Sequence[Hit],
    reader: LimitedReader,
    *,
    with_titles: bool,
    part: Part,
) -> Group:
    """Return a group, its passages written as `bothways.search.rank.rerank` does."""
    hits = [question.positive, *negatives]
    passages = [fitting_passage(question.text, hit.title if with_titles else "", hit.text, reader) for hit in hits]
    return Group(
        key=question.key,
        query=question.text,
        positive=passages[0],
        negatives=tuple(passages[1:]),
        source=question.source,
        part=part,
        first=first_stage(hits, retrieved.legs, retrieved.shares, kind=question.kind),
        kind=question.kind,
    )
