"""Pseudo-questions from a file, for where no language model is, and for measurements that all have the same ones."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from bisect import bisect_right
from pathlib import Path

from bothways.core.datatypes import Chunk
from bothways.core.errors import LLMError, UsageError
from bothways.models.llm.usage import TokenUsage


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
        """Return whether questions are recorded for the chunk."""
        return self._find(_squeezed(chunk.text)) is not None

    def write(self, chunk: Chunk) -> tuple[str, ...]:
        """Return the recorded questions of the chunk; raises `LLMError` where there are none."""
        found = self._find(_squeezed(chunk.text))
        if found is None:
            raise LLMError("There are no recorded questions for this text.")
        with self._lock:
            self.cache_hits += 1
        return self._questions[found]

    @property
    def usage(self) -> TokenUsage:
        """No tokens: the answers were paid for when they were recorded."""
        return TokenUsage()

    def estimate(self, chunk: Chunk) -> TokenUsage:  # noqa: ARG002 – part of the interface
        """Return no tokens."""
        return TokenUsage()

    def close(self) -> None:
        """Do nothing: the file has been read."""

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
        """Return the recorded passage that `text`, squeezed, belongs to."""
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
