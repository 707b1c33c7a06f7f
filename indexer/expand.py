"""Doc2Query: chunks in, the same chunks out in the same order, each with the questions that it answers.

Documents learn here how people ask (Nogueira et al. 2019, "Document Expansion by Query Prediction"): questions in lay
words, keyword queries, situations. A chunk for which the language model fails goes on without questions and is marked
so; nothing is lost, and a later run asks again for those alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.answer_cache import AnswerCache, cache_key
from core.datatypes import Chunk, ExpandedChunk, Failure
from core.errors import LLMError, LLMUnavailableError, UsageError
from core.prompts import Prompt
from indexer.parse_questions import clean_questions, split_answer

if TYPE_CHECKING:
    # The client behind it takes half a second to import, which a run without a language model need not pay.
    from core.models.llm import LanguageModel

FAILED = "failed"
"""The generation of a chunk whose questions could not be asked for: the next run asks again."""

REFUSED = "refused:"
"""Stands before the generation of a chunk for which the model has no answer: asked again only on request."""

QUESTIONS_SCHEMA = {
    "type": "object",
    "properties": {"questions": {"type": "array", "items": {"type": "string"}}},
    "required": ["questions"],
    "additionalProperties": False,
}

DOC2QUERY = Prompt("indexer", "doc2query", data="passage")


class Writer(Protocol):
    """Whatever writes the questions of a chunk; used by several threads at once."""

    calls: int
    cache_hits: int

    @property
    def generation(self) -> str:
        """What names the way in which the questions come about: equal names, equal questions."""
        ...

    def has(self, chunk: Chunk) -> bool:
        """Tell whether the questions are at hand without a call."""
        ...

    def write(self, chunk: Chunk) -> tuple[str, ...]:
        """Give the questions of a chunk, at least one; raises `LLMError`."""
        ...

    def close(self) -> None:
        """Let go of what it holds; what is being written for then fails."""
        ...


def expand(
    chunks: Iterable[Chunk], writer: Writer | None, *, concurrency: int, on_failure: Callable[[Failure], None]
) -> Iterator[ExpandedChunk]:
    """Give every chunk with its questions, lazily and in order; without a writer, with none.

    Up to `concurrency` chunks are written for at once, and at most twice as many are taken ahead of what is given.
    A chunk whose writer fails is told to `on_failure` and given without questions: with the generation "failed" where
    the model could not be reached (`LLMUnavailableError`), marked as refused where it has no answer to this chunk
    (`LLMError`). Closing the iterator drops what has not begun and waits for nothing.
    """
    if writer is None:
        yield from (ExpandedChunk(chunk) for chunk in chunks)
        return
    source = iter(chunks)
    waiting: deque[tuple[Chunk, Future[tuple[str, ...]]]] = deque()
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="expand")
    try:
        while True:
            for chunk in islice(source, 2 * concurrency - len(waiting)):
                waiting.append((chunk, pool.submit(writer.write, chunk)))
            if not waiting:
                return
            yield _finished(*waiting.popleft(), writer, on_failure)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _finished(
    chunk: Chunk, future: Future[tuple[str, ...]], writer: Writer, on_failure: Callable[[Failure], None]
) -> ExpandedChunk:
    try:
        return ExpandedChunk(chunk, future.result(), writer.generation)
    except LLMUnavailableError as error:
        on_failure(Failure("expand", chunk.chunk_id, str(error), chunk.title))
        return ExpandedChunk(chunk, (), FAILED)
    except LLMError as error:
        on_failure(Failure("refuse", chunk.chunk_id, str(error), chunk.title))
        return ExpandedChunk(chunk, (), REFUSED + writer.generation)


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
        """Tell whether the cache has questions for the chunk; not so where the model's name cannot be had."""
        try:
            return bool(self._cached(self._key(chunk), chunk))
        except LLMUnavailableError:
            return False

    def write(self, chunk: Chunk) -> tuple[str, ...]:
        """Give up to `n` questions; an answer without a single usable one is an `LLMError` and is not kept."""
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
            raise LLMUnavailableError(f"{error} It has not answered anything yet, so look at its settings.") from error
        self._cache.put(key, json.dumps(raw))
        if not self._has_answered:
            self._has_answered = True
            self._cache.put(self._answered_key(), "1")
        return questions

    def _ask(self, chunk: Chunk) -> tuple[list[str], tuple[str, ...]]:
        raw = split_answer(self._llm.generate(build_prompt(chunk, self._n), json_schema=QUESTIONS_SCHEMA))
        questions = self._clean(raw, chunk)
        if not questions:
            raise LLMError("The language model's answer holds no usable question.")
        return raw, questions

    def close(self) -> None:
        """Give up what is being waited for, and close the cache."""
        self._llm.close()
        self._cache.close()

    def _answered_before(self) -> bool:
        """Tell whether this model at this address has ever answered; kept in the cache from run to run."""
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


class RecordedQuestions:
    """Questions from a JSON-lines file `{"text": passage, "questions": [...]}`, for where no language model is.

    White space does not count. A chunk gets the questions of the passage that it equals, of the longest that it
    contains, or, from 60 characters on, of the first that contains it. Raises `UsageError` for a file that cannot be
    read, with the line.
    """

    KEY = 12
    PART = 60

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"The questions in {path} cannot be read: {error.strerror or error}.") from error
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.generation = f"recorded/{digest[:8]}"
        self.calls = 0
        self.cache_hits = 0
        self._lock = threading.Lock()
        self._questions: dict[str, tuple[str, ...]] = {}
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            if line.strip():
                text, questions = _record(line, path, number)
                self._questions.setdefault(text, questions)
        self._index()

    def has(self, chunk: Chunk) -> bool:
        """Tell whether questions are recorded for the chunk."""
        return self._find(_squeezed(chunk.text)) is not None

    def write(self, chunk: Chunk) -> tuple[str, ...]:
        """Give the recorded questions of the chunk; raises `LLMError` where there are none."""
        found = self._find(_squeezed(chunk.text))
        if found is None:
            raise LLMError("There are no recorded questions for this text.")
        with self._lock:
            self.cache_hits += 1
        return self._questions[found]

    def close(self) -> None:
        """Hold nothing: the file has been read."""

    def _index(self) -> None:
        """Prepare both searches: passages by their first characters, and all in one string with their offsets."""
        self._by_start: dict[str, list[str]] = {}
        self._texts = list(self._questions)
        self._starts: list[int] = []
        offset = 0
        for text in self._texts:
            self._by_start.setdefault(text[: self.KEY], []).append(text)
            self._starts.append(offset)
            offset += len(text) + 1
        self._all = "\n".join(self._texts)  # squeezed texts hold no line break, so no match crosses a border

    def _find(self, text: str) -> str | None:
        """Give the recorded passage that `text`, squeezed, belongs to."""
        if text in self._questions:
            return text
        inside = (
            passage
            for start in range(len(text) - self.KEY + 1)
            for passage in self._by_start.get(text[start : start + self.KEY], ())
            if text.startswith(passage, start)
        )
        longest = max(inside, key=len, default=None)
        if longest is not None or len(text) < self.PART:
            return longest
        place = self._all.find(text)
        return self._texts[bisect_right(self._starts, place) - 1] if place >= 0 else None


def build_prompt(chunk: Chunk, n: int) -> str:
    """Build the request for `n` questions: the chunk's heading (or title) and text, in the language of its text."""
    return DOC2QUERY.fill(_passage(chunk), like=chunk.text, n=n)


def _passage(chunk: Chunk) -> str:
    heading = chunk.heading or chunk.title
    return f"{heading}\n{chunk.text}" if heading else chunk.text


def _record(line: bytes, path: Path, number: int) -> tuple[str, tuple[str, ...]]:
    try:
        row = json.loads(line)
        text, questions = row["text"], row["questions"]
        valid = isinstance(text, str) and isinstance(questions, list) and all(isinstance(q, str) for q in questions)
    except (ValueError, KeyError, TypeError, RecursionError):
        valid = False
    cleaned = tuple(q.strip() for q in questions if q.strip()) if valid else ()
    if not cleaned or not (squeezed := _squeezed(text)):
        raise UsageError(f'{path}, line {number}: expected {{"text": "…", "questions": ["…", …]}} as JSON.')
    return squeezed, cleaned


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
