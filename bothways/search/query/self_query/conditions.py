"""A question's own words as filters: "民法典第五百九十条" asks for one article, and says so without a language model.

Names and numbers of the collection's metadata (bothways/search/query/self_query/vocabulary.py) are spotted in the
question. A number with the name that it belongs to is a citation. A question that is nothing else is filtered by it;
one that asks something about it gets what is cited first, and then the rest, for the answer may stand elsewhere. What
is less certain (a name alone, a number without one) ranks higher in BM25 and takes nothing away.
docs/decisions/self-query-and-filters.md has the measurements.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bothways.core.results import Recognised, SelfQuery
from bothways.search.query.self_query.citations import BELOW, Citation, Item, any_of, cite, numbers_in
from bothways.search.query.self_query.vocabulary import Meaning, Vocabulary, normalised

MAX_CHARS = 512
"""How much of a question is looked at: a citation stands in a question, not in a page of text."""

MAX_ITEMS = 16
"""Names and numbers that are taken from one question at most."""

_EXCLUDED = re.compile(
    r"(?<![免解排清删扣拆开废消])除[^,。;?]{0,60}?外|除了"
    r"|\b(?:except|excluding|besides|other than|apart from|instead of)\b"
)
"""Whoever names what the answer is to leave out is not to be given that alone."""

_FILLER = re.compile(
    r"\([^()]{0,20}\)|请问|查一下|查询|查看|帮我|一下|的?(?:具体)?(?:规定|内容|条文|原文|全文|法条|解释)|说了?什么|讲了?什么|是?什么|怎么说|如何|怎么"
    r"|规定|关于|根据|我国|现行|看|查|找|[的是了呢吗啊里中在和与及以或至到]|\b(?:what|does|do|is|the|of|in|from|under|say|says|show|me|text|please|and|or|to)\b"
)


@dataclass(frozen=True, slots=True)
class Understood:
    """What a question says of metadata: `filters` are what it cites, a chunk with one of `boosts` ranks higher."""

    told: SelfQuery | None = None
    filters: Sequence[dict[str, Any]] = ()
    boosts: Sequence[dict[str, Any]] = ()

    @property
    def wants_all(self) -> bool:
        """Whether hits beside those that are cited are wanted."""
        return self.told is None or self.told.mode != "filter" or self.told.relaxed

    @property
    def unfiltered(self) -> Understood:
        """The same for all chunks."""
        return replace(self, filters=())

    def relaxed(self) -> Understood:
        """Return the same without its filter, which nothing matched."""
        return replace(self.unfiltered, told=replace(self.told, relaxed=True) if self.told else None)


NOTHING = Understood()


def understand(question: str, vocabulary: Vocabulary) -> Understood:
    """Read a question by a collection's vocabulary. Pure, and quick where nothing is found."""
    text = normalised(question[:MAX_CHARS])
    names = [
        Item(start=start, end=end, values=_by_field(vocabulary.names[text[start:end]]), is_name=True)
        for start, end in vocabulary.names_in(text)[:MAX_ITEMS]
    ]
    numbers = numbers_in(text, vocabulary.numbered)
    apart = [item for item in numbers if not any(_overlap(item, each) for each in names)]
    citations = cite(text, names, apart[:MAX_ITEMS])
    if not citations or _EXCLUDED.search(text):
        return NOTHING
    is_pure = _is_pure(text, citations)
    if not is_pure:
        citations = [each for each in citations if each.name or _is_meant(each)]
        if not citations:
            return NOTHING
    recognised = tuple(_recognised(item, text) for citation in citations for item in citation.items)
    cited = [each for each in citations if each.is_certain or (is_pure and each.numbers)]
    boosts = [
        each.clause() for each in citations if each not in cited and all(any(i.values.values()) for i in each.items)
    ]
    if not cited:
        return Understood(SelfQuery("boost", recognised), (), boosts)
    mode: Literal["filter", "first"] = "filter" if is_pure and len(cited) == len(citations) else "first"
    return Understood(SelfQuery(mode, recognised), [any_of([each.clause() for each in cited])], boosts)


def _is_meant(citation: Citation) -> bool:
    """Return whether numbers without a name are meant: "three articles" are three of them, not the third."""
    return all(item.is_explicit and any(item.values.values()) for item in citation.numbers)


def _is_pure(text: str, citations: Sequence[Citation]) -> bool:
    """Return whether the question is nothing but what it cites."""
    rest, end = [], 0
    for item in sorted((item for each in citations for item in each.items), key=lambda item: item.start):
        rest.append(text[end : item.start])
        below = BELOW.match(text, item.end)
        end = below.end() if below else item.end
    left = " ".join([*rest, text[end:]])
    return not re.sub(r"\W|_", "", _FILLER.sub(" ", left))


def _recognised(item: Item, text: str) -> Recognised:
    return Recognised(text[item.start : item.end].strip(), {name: tuple(v) for name, v in item.values.items()})


def _overlap(one: Item, other: Item) -> bool:
    return one.start < other.end and other.start < one.end


def _by_field(meanings: Sequence[Meaning]) -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in meanings:
        fields[name] = (*fields.get(name, ()), value)
    return fields
