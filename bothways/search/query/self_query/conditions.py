"""A question's own words as filters: "民法典第五百九十条" asks for one article, which needs no language model to see.

Names and numbers of the collection's metadata (bothways/search/query/self_query/vocabulary.py) are found in the
question. A number with its name is a citation. A question that is only a citation is filtered by it. A question that
asks something about a citation gets the cited hits first, and then the others, where the answer may be. What is less
certain (a name alone, a number without a name) only ranks higher in BM25.
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
"""Characters of a question that are read: citations are in questions, not in pages of text."""

MAX_ITEMS = 16
"""The most names and the most numbers of one question."""

_EXCLUDED = re.compile(
    r"(?<![免解排清删扣拆开废消])除[^,。;?]{0,60}?外|除了"
    r"|\b(?:except|excluding|besides|other than|apart from|instead of)\b"
)
"""Words that exclude something: what they name must not become a filter."""

_FILLER = re.compile(
    r"\([^()]{0,20}\)|请问|查一下|查询|查看|帮我|一下|的?(?:具体)?(?:规定|内容|条文|原文|全文|法条|解释)|说了?什么|讲了?什么|是?什么|怎么说|如何|怎么"
    r"|规定|关于|根据|我国|现行|看|查|找|[的是了呢吗啊里中在和与及以或至到]|\b(?:what|does|do|is|the|of|in|from|under|say|says|show|me|text|please|and|or|to)\b"
)


@dataclass(frozen=True, slots=True)
class Understood:
    """What a question says about metadata: clauses for what it cites, and for what only ranks higher.

    `self_query` is the summary for the search's result; None where nothing was recognised.
    """

    self_query: SelfQuery | None = None
    filters: Sequence[dict[str, Any]] = ()
    boosts: Sequence[dict[str, Any]] = ()

    @property
    def wants_all(self) -> bool:
        """Whether other hits than the cited ones belong to the result, too."""
        return self.self_query is None or self.self_query.mode != "filter" or self.self_query.relaxed

    @property
    def unfiltered(self) -> Understood:
        """The same without the filters."""
        return replace(self, filters=())

    def relaxed(self) -> Understood:
        """Return the same without the filters, which nothing matched."""
        return replace(self, filters=(), self_query=replace(self.self_query, relaxed=True) if self.self_query else None)


NOTHING = Understood()


def understand(question: str, vocabulary: Vocabulary) -> Understood:
    """Read the names and numbers of a collection's vocabulary in a question."""
    text = normalised(question[:MAX_CHARS])
    names = [
        Item(start=start, end=end, values=_by_field(vocabulary.names[text[start:end]]), is_name=True)
        for start, end in vocabulary.names_in(text)[:MAX_ITEMS]
    ]
    numbers = numbers_in(text, vocabulary.numbered)
    apart = [item for item in numbers if not any(item.start < name.end and name.start < item.end for name in names)]
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
    """Return whether numbers without a name are citations: "three articles" are three of them, not the third."""
    return all(item.is_explicit and any(item.values.values()) for item in citation.numbers)


def _is_pure(text: str, citations: Sequence[Citation]) -> bool:
    """Return whether the question is only citations."""
    rest, end = [], 0
    for item in sorted((item for each in citations for item in each.items), key=lambda item: item.start):
        rest.append(text[end : item.start])
        below = BELOW.match(text, item.end)
        end = below.end() if below else item.end
    left = " ".join([*rest, text[end:]])
    return not re.sub(r"\W|_", "", _FILLER.sub(" ", left))


def _recognised(item: Item, text: str) -> Recognised:
    return Recognised(text[item.start : item.end].strip(), {name: tuple(v) for name, v in item.values.items()})


def _by_field(meanings: Sequence[Meaning]) -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in meanings:
        fields[name] = (*fields.get(name, ()), value)
    return fields
