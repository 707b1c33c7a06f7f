"""May these two words stand for each other? Asked of a language model, once a pair: answers are kept in the cache."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bothways.core.errors import LLMError
from bothways.core.prompts import Prompt
from bothways.learning.synonyms.candidates import Candidate
from bothways.models.llm.answer_cache import AnswerCache, cache_key
from bothways.models.llm.language_model import LanguageModel

SYNONYMS = Prompt("bothways.learning.synonyms", "synonyms", data="pair")
VERDICT_SCHEMA = {
    "type": "object",
    "properties": {"synonyms": {"type": "boolean"}},
    "required": ["synonyms"],
    "additionalProperties": False,
}

_YES = re.compile(r"\A\W*(?:(?:yes|true)\b|是(?!否)|可以)", re.IGNORECASE)
_NO = re.compile(r"\A\W*(?:(?:no|false)\b|否|不)", re.IGNORECASE)
_EXCERPT = 160


class Judge:
    """A language model with its cache. `calls` and `cache_hits` count; `trouble` is the last reason for no answer."""

    def __init__(self, llm: LanguageModel, cache: AnswerCache, *, concurrency: int = 8) -> None:
        self._llm = llm
        self._cache = cache
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self.calls = 0
        self.cache_hits = 0
        self.trouble = ""

    def judge(self, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        """Return the candidates in order with their `verdict`; None stays where there was no answer."""
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="judge") as pool:
            verdicts = pool.map(self._verdict, candidates)
            for candidate, verdict in zip(candidates, verdicts, strict=True):
                yield replace(candidate, verdict=verdict)

    def close(self) -> None:
        """Let go of the model and the cache."""
        self._llm.close()
        self._cache.close()

    def _verdict(self, candidate: Candidate) -> bool | None:
        asked = described(candidate)
        try:
            key = cache_key("synonyms", asked, SYNONYMS.version, self._llm.name)
            if (kept := self._cache.get(key)) is not None:
                with self._lock:
                    self.cache_hits += 1
                return kept == "yes"
            with self._lock:
                self.calls += 1
            verdict = parse_verdict(self._llm.generate(SYNONYMS.fill(asked, like=asked), json_schema=VERDICT_SCHEMA))
        except LLMError as error:
            self.trouble = str(error)
            return None
        self._cache.put(key, "yes" if verdict else "no")
        return verdict


def described(candidate: Candidate) -> str:
    """Write down what is asked about: the two terms, and a question and a passage that have them."""
    lines = [f"A: {candidate.asked}", f"B: {candidate.found}"]
    if candidate.examples:
        example = candidate.examples[0]
        passage = example.text
        start = max(0, passage.find(candidate.found) - _EXCERPT // 2)
        lines += [f"Q: {example.question}", f"T: {example.title} {passage[start : start + _EXCERPT]}"]
    return "\n".join(lines)


def parse_verdict(answer: str) -> bool:
    """Read yes or no out of an answer, as JSON or as a word; raises `LLMError` for anything else."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and isinstance(value.get("synonyms"), bool):
        return bool(value["synonyms"])
    if _YES.match(answer):
        return True
    if _NO.match(answer):
        return False
    raise LLMError(f"The language model was asked for yes or no and said {answer[:60]!r}.")
