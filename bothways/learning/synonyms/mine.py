"""Synonyms from a collection itself: its questions use words that its texts do not have.

Top to bottom: count which terms of texts stand where questions use another, leave out what is known, look up where it
was seen, ask a language model where there is one. What comes out is a proposal and never in force by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass

from bothways.core.analysis import Segmenter
from bothways.core.synonyms import Rule
from bothways.learning.synonyms.association import Association, AssociationThresholds, associate
from bothways.learning.synonyms.candidates import Candidate, with_examples
from bothways.learning.synonyms.judge import Judge
from bothways.learning.synonyms.pairs import Pair

Progress = Callable[[str], None]
"""Called with what is being done now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """What was found, strongest first: `candidates` to review, those that the language model `refused`, and counts.

    `unjudged` candidates are proposed without the model's word although one is set, because of `trouble`.
    """

    candidates: Sequence[Candidate]
    refused: Sequence[Candidate] = ()
    judged: int = 0
    unjudged: int = 0
    known: int = 0
    calls: int = 0
    trouble: str = ""

    @property
    def refusal_rate(self) -> float:
        """The share of the judged candidates that the language model refused; 0 where none was judged."""
        return len(self.refused) / self.judged if self.judged else 0.0


def mine(
    pairs: Callable[[bool], Iterable[Pair]],
    segmenter: Segmenter,
    thresholds: AssociationThresholds,
    *,
    known: Iterable[Rule] = (),
    stopwords: Set[str] = frozenset(),
    at_most: int = 300,
    judge: Judge | None = None,
    progress: Progress = lambda _: None,
) -> Mined:
    """Mine candidates. `pairs` begins the stream of a collection anew, with texts when it is called with True.

    Three streams in all, memory bounded. A term that is cut differently on its own than in texts is left out, since
    no rule could name it; so is what the `known` rules do already.
    """
    progress("counting terms")
    strong = associate(lambda: pairs(False), thresholds, stopwords=stopwords)
    usable = [association for association in strong if _stays_whole(association, segmenter)]
    effects = {effect for rule in known for effect in rule.effects()}
    new = [association for association in usable if (association.asked, association.found) not in effects]
    progress("looking up examples")
    candidates = with_examples(new[:at_most], pairs(True))
    if judge is None:
        return Mined(candidates=candidates, known=len(usable) - len(new))
    progress("asking the language model")
    answered = list(judge.judge(candidates))
    return Mined(
        candidates=[candidate for candidate in answered if candidate.verdict is not False],
        refused=[candidate for candidate in answered if candidate.verdict is False],
        judged=sum(candidate.verdict is not None for candidate in answered),
        unjudged=sum(candidate.verdict is None for candidate in answered),
        known=len(usable) - len(new),
        calls=judge.calls,
        trouble=judge.trouble,
    )


def _stays_whole(association: Association, segmenter: Segmenter) -> bool:
    return all(segmenter.words(term) == [term] for term in (association.asked, association.found))
