"""Who takes part in `benchmarks.learning`: articles with their questions by role, a scripted model, a baiter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.learning.simulated_readers import Acted
from benchmarks.shared.corpus import LAW
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.models.llm.usage import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One article with its questions by role."""

    key: tuple[str, str]
    text: str
    first: str
    asked: str
    evaluated: str
    written: tuple[str, ...]


class ScriptedModel:
    """Answers with a passage's recorded questions, its first one included; `misled`, with those of the hints.

    The misled one stands for a model that believes its hints more than the passage: the worst that a poisoned record
    can do through it.
    """

    address = ""
    usage = TokenUsage()

    def __init__(self, articles: Sequence[Article], *, misled: bool = False) -> None:
        self.name = "scripted-misled" if misled else "scripted"
        self._by_text = {_squeezed(article.text): article for article in articles}
        self._by_question = {article.asked: article for article in articles}
        self._misled = misled

    def generate(self, prompt: str, *, json_schema: object = None, timeout_s: float | None = None) -> str:  # noqa: ARG002
        """Answer as JSON."""
        material = json.loads(prompt[prompt.index("\n{\n") : prompt.rindex("\n}\n") + 2])
        article = self._of(material["passage"])
        hinted = [self._by_question[text] for text in material["answered"] if text in self._by_question]
        if self._misled and hinted:
            questions = [question for other in hinted for question in other.written]
        elif article is None:
            questions = []
        elif not material["answered"]:
            # Told only what the passage does not answer, it keeps to the passage's own words.
            every = [*article.written, article.first]
            questions = sorted(every, key=lambda question: -_share(question, article.text))
        else:
            questions = [*article.written, *(text for text in material["now"] if text == article.first)]
        return json.dumps({"questions": questions}, ensure_ascii=False)

    def close(self) -> None:
        """Hold nothing."""

    def _of(self, passage: str) -> Article | None:
        text = _squeezed(passage.partition("\n")[2] or passage)
        exact = self._by_text.get(text)
        return exact or next((one for whole, one in self._by_text.items() if text in whole or whole in text), None)


@dataclass(frozen=True, slots=True)
class Baiter:
    """Clicks whatever stands at one rank and nothing else, and looks like a user who went on to it."""

    rank: int

    def react(self, shown: Sequence[str], relevant: Mapping[str, int], chance: np.random.Generator) -> Acted:  # noqa: ARG002
        """Return what this user does."""
        return [(shown[self.rank - 1], "click")] if len(shown) >= self.rank else []


def judged(article: Article) -> JudgedQuery:
    """Return the question that an article is evaluated by."""
    law, number = article.key
    return JudgedQuery(query_id=f"{law} {number}", text=article.evaluated, gold={"law": law, "article": number})


def articles_of(chance: np.random.Generator, *, with_first: bool, weak: bool) -> list[Article]:
    """Read the articles, their questions in roles that are drawn anew for each.

    `weak`: the first one indexed is that which shares most with the article's own words, as a generation does that
    misses how people ask.
    """
    found = []
    for line in (LAW / "pseudo_questions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if len(row["questions"]) < 5:
            continue
        drawn = [row["questions"][int(at)] for at in chance.permutation(5)]
        if weak:
            drawn.sort(key=lambda question: -_share(question, row["text"]))
            drawn[1:] = [drawn[1:][int(at)] for at in chance.permutation(4)]
        first, asked, evaluated, *written = drawn
        own = tuple(written) if with_first else (*written, first)
        found.append(
            Article(
                key=(row["law"], row["article"]),
                text=row["text"],
                first=first,
                asked=asked,
                evaluated=evaluated,
                written=own,
            )
        )
    return found


def _share(question: str, text: str) -> float:
    """Return the share of a question's pairs of characters that stand in a text."""
    pairs = [question[at : at + 2] for at in range(len(question) - 1)]
    return sum(pair in text for pair in pairs) / max(1, len(pairs))


def _squeezed(text: str) -> str:
    return "".join(text.split())
