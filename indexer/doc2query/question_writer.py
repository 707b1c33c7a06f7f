"""Questions by a language model: a chunk in, its questions out, each answer kept so that it is paid for once."""

from __future__ import annotations

import json
import threading

from bothways.core.datatypes import Chunk
from bothways.core.errors import LLMError, LLMUnavailableError
from bothways.core.prompts import Prompt
from bothways.core.text.passage import passage
from bothways.indexer.doc2query.parse_questions import clean_questions, split_answer
from bothways.models.llm.answer_cache import AnswerCache, cache_key
from bothways.models.llm.language_model import LanguageModel
from bothways.models.llm.usage import TokenUsage, estimate_tokens

QUESTIONS_SCHEMA = {
    "type": "object",
    "properties": {"questions": {"type": "array", "items": {"type": "string"}}},
    "required": ["questions"],
    "additionalProperties": False,
}

DOC2QUERY = Prompt("bothways.indexer.doc2query", "doc2query", data="passage")

TOKENS_A_QUESTION = 24
"""For estimates: a recorded question has 18.6 characters on average, and quotes and commas around it."""


class QuestionWriter:
    """Asks a language model for `n` questions a chunk, and asks once: answers are kept in the cache.

    The key is the passage as it is asked about, the prompt's version, the model and `n`. What is kept is the answer
    taken apart but not yet cleaned, so that better cleaning reaches old answers without a new call.
    """

    def __init__(self, llm: LanguageModel, cache: AnswerCache, n: int) -> None:
        self._llm = llm
        self._cache = cache
        self._n = n
        self._lock = threading.Lock()
        self._has_answered = False
        self.calls = 0
        self.cache_hits = 0

    @property
    def generation(self) -> str:
        """Prompt version, model and number. Raises `LLMError` where the endpoint has to be asked for its model."""
        return f"{DOC2QUERY.version}/{self._llm.name}/{self._n}"

    def has(self, chunk: Chunk) -> bool:
        """Return whether the cache has questions for the chunk; not so where the model's name cannot be had."""
        try:
            return bool(self._cached(self._key(chunk), chunk))
        except LLMUnavailableError:
            return False

    def write(self, chunk: Chunk) -> tuple[str, ...]:
        """Return up to `n` questions; an answer without a single usable one is an `LLMError` and is not kept."""
        key = self._key(chunk)
        if cached := self._cached(key, chunk):
            with self._lock:
                self.cache_hits += 1
            return cached
        with self._lock:
            self.calls += 1
        try:
            raw, questions = self._ask(chunk)
        except LLMUnavailableError:
            raise
        except LLMError as error:
            if self._answered_before():
                raise
            # A wrong address or model refuses everything; that is no answer to this chunk, and must be asked again.
            raise LLMUnavailableError(
                f"{error} The model has not answered anything yet: check its settings."
            ) from error
        self._cache.put(key, json.dumps(raw))
        if not self._has_answered:
            self._has_answered = True
            self._cache.put(self._answered_key(), "1")
        return questions

    @property
    def usage(self) -> TokenUsage:
        """Tokens of the language model so far."""
        return self._llm.usage

    def estimate(self, chunk: Chunk) -> TokenUsage:
        """Guess the tokens of a call about the chunk by the prompt's characters and `TOKENS_A_QUESTION`."""
        return TokenUsage(estimate_tokens(build_prompt(chunk, self._n)), self._n * TOKENS_A_QUESTION)

    def _ask(self, chunk: Chunk) -> tuple[list[str], tuple[str, ...]]:
        raw = split_answer(self._llm.generate(build_prompt(chunk, self._n), json_schema=QUESTIONS_SCHEMA))
        questions = self._clean(raw, chunk)
        if not questions:
            raise LLMError("The language model's answer holds no usable question.")
        return raw, questions

    def close(self) -> None:
        """Cancel calls under way, and close the cache."""
        self._llm.close()
        self._cache.close()

    def _answered_before(self) -> bool:
        """Return whether this model at this address has ever answered; kept in the cache from run to run."""
        self._has_answered = self._has_answered or self._cache.get(self._answered_key()) is not None
        return self._has_answered

    def _answered_key(self) -> str:
        return cache_key("answered", self._llm.address, self.generation)

    def _key(self, chunk: Chunk) -> str:
        return cache_key("questions", _passage(chunk), self.generation)

    def _cached(self, key: str, chunk: Chunk) -> tuple[str, ...]:
        kept = self._cache.get(key)
        return self._clean(split_answer(kept), chunk) if kept is not None else ()

    def _clean(self, raw: list[str], chunk: Chunk) -> tuple[str, ...]:
        return tuple(clean_questions(raw, n=self._n, text=chunk.text))


def build_prompt(chunk: Chunk, n: int) -> str:
    """Build the request for `n` questions: the chunk's heading (or title) and text, in the language of its text."""
    return DOC2QUERY.fill(_passage(chunk), like=chunk.text, n=n)


def _passage(chunk: Chunk) -> str:
    return passage(chunk.heading or chunk.title, chunk.text)
