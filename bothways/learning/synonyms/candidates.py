"""A candidate for a synonym: two associated terms, what speaks for them, and where it was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bothways.core.synonyms import Rule
from bothways.learning.synonyms.association import Association
from bothways.learning.synonyms.pairs import Pair


@dataclass(frozen=True, slots=True)
class Example:
    """A question that has the one term, with the title and text of the chunk that has the other."""

    question: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two terms with their evidence. `verdict` is the language model's, None where it was not asked or did not say."""

    association: Association
    examples: tuple[Example, ...] = ()
    verdict: bool | None = None

    @property
    def asked(self) -> str:
        """The term of questions."""
        return self.association.asked

    @property
    def found(self) -> str:
        """The term of texts."""
        return self.association.found

    @property
    def rule(self) -> Rule:
        """What would be applied: who asks for the one finds the other too, and not the other way round."""
        return Rule((self.asked,), (self.asked, self.found))


def with_examples(associations: Sequence[Association], pairs: Iterable[Pair], *, each: int = 2) -> list[Candidate]:
    """Find up to `each` examples of each association, in the order of the stream; stops when all have them."""
    found: dict[Association, list[Example]] = {association: [] for association in associations}
    by_term: dict[str, list[Association]] = {}
    for association in associations:
        by_term.setdefault(association.asked, []).append(association)
    missing = set(associations)
    for pair in pairs if missing else ():
        for term in pair.unmet & by_term.keys():
            for association in by_term[term]:
                if association in missing and association.found in pair.words:
                    found[association].append(_example(pair, term))
                    if len(found[association]) == each:
                        missing.discard(association)
        if not missing:
            break
    return [replace(Candidate(association), examples=tuple(examples)) for association, examples in found.items()]


def _example(pair: Pair, term: str) -> Example:
    question = next(text for text, words in pair.questions if term in words)
    return Example(question, pair.title, pair.text)
