"""Pseudo-documents of judged queries, several each: sampled from the language model, or read from a file.

What comes out is in the order of the queries; a sample that failed is one all the same, with its reason.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bothways.core.errors import LLMError, LLMUnavailableError, UsageError
from bothways.core.text.valid import valid_text
from bothways.models.llm.language_model import LanguageModel
from bothways.search.query.rewrite import MAX_QUESTION_CHARS, QUERY2DOC, clean_pseudo_doc

GIVE_UP = 5
"""Samples in a row that nobody answered, after which nobody is asked any more."""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One sample to be had: its query, and its number from 1."""

    query_id: str
    question: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One pseudo-document as it was written, or why there is none; `passing` failures are tried again on a resume."""

    query_id: str
    number: int
    text: str = ""
    error: str = ""
    passing: bool = False


class Source(Protocol):
    """Where samples come from."""

    @property
    def name(self) -> str:
        """What people read of it."""
        ...

    @property
    def identity(self) -> Mapping[str, object]:
        """What must be the same when a run goes on."""
        ...

    def numbers(self, query_id: str, question: str) -> range:
        """Return the numbers of the samples that a query can have."""
        ...

    def samples(self, wanted: Iterable[SampleRequest]) -> Generator[Sample]:
        """Return the samples, in order; closed before its end, it asks for no more."""
        ...


def prompt_of(question: str) -> str:
    """Return the prompt as a search asks it."""
    asked = question[:MAX_QUESTION_CHARS]
    return QUERY2DOC.fill(asked, like=asked)


class ModelSamples:
    """Asks a language model for `n` answers to the prompt of each search, some at once, and closes it at the end.

    Raises `LLMUnavailableError` once `GIVE_UP` samples in a row found nobody.
    """

    def __init__(
        self, llm: LanguageModel, n: int, *, temperature: float, timeout_s: float = 60.0, concurrency: int = 8
    ) -> None:
        self._llm = llm
        self._n = n
        self._temperature = temperature
        self._timeout_s = timeout_s
        self._concurrency = concurrency

    @property
    def name(self) -> str:
        """The model and how it was asked."""
        return f"{self._n} samples of {self._llm.name} at temperature {self._temperature:g}"

    @property
    def identity(self) -> Mapping[str, object]:
        """Model, prompt and temperature, and how many."""
        return {
            "model": self._llm.name,
            "prompt": QUERY2DOC.version,
            "temperature": self._temperature,
            "samples": self._n,
        }

    def numbers(self, query_id: str, question: str) -> range:  # noqa: ARG002 – part of the interface
        """Return 1 to n: the model can be asked about everything."""
        return range(1, self._n + 1)

    def samples(self, wanted: Iterable[SampleRequest]) -> Generator[Sample]:
        """Ask, a few ahead of what is used."""
        ahead: deque[Future[Sample]] = deque()
        missed = 0
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="expansions")
        try:
            for sample in _in_order(pool, self._ask, wanted, ahead, 2 * self._concurrency):
                missed = missed + 1 if sample.passing else 0
                if missed >= GIVE_UP:
                    raise LLMUnavailableError(f"The last {missed} samples found no language model: {sample.error}")
                yield sample
        finally:
            self._llm.close()  # ends the waits of threads that are still asking
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, request: SampleRequest) -> Sample:
        try:
            answer = valid_text(self._llm.generate(prompt_of(request.question), timeout_s=self._timeout_s))
            clean_pseudo_doc(answer)
        except LLMError as error:
            passing = isinstance(error, LLMUnavailableError)
            return Sample(query_id=request.query_id, number=request.number, error=str(error), passing=passing)
        return Sample(query_id=request.query_id, number=request.number, text=answer)


class RecordedSamples:
    """Samples from a file of JSON lines `{"query_id": ..., "text": ...}`, several a query.

    Lines `{"query": ..., "pseudo_doc": ...}` as searches take them are read too. A text that a query has already is
    dropped. Raises `UsageError` for a file that cannot be used, with the line.
    """

    def __init__(self, path: Path, *, at_most: int | None = None) -> None:
        self._path = path
        self._by_key: dict[str, list[str]] = {}
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"The expansions in {path} cannot be read: {error.strerror or error}.") from error
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            if line.strip():
                key, text = _record(line, path, number)
                known = self._by_key.setdefault(key, [])
                if text not in known and (at_most is None or len(known) < at_most):
                    known.append(text)
        if not self._by_key:
            raise UsageError(f"{path} holds no expansion.")
        self._at_most = at_most

    @property
    def name(self) -> str:
        """The file."""
        return f"expansions recorded in {self._path.name}, however they were asked for"

    @property
    def identity(self) -> Mapping[str, object]:
        """The file's name and the number of samples a query; its checksum is compared, too."""
        return {"expansions": self._path.name, "samples": self._at_most}

    def numbers(self, query_id: str, question: str) -> range:
        """Return the numbers of those that are recorded for a query."""
        return range(1, len(self._of(query_id, question)) + 1)

    def samples(self, wanted: Iterable[SampleRequest]) -> Generator[Sample]:
        """Return them, each looked at as a language model's answer is."""
        for request in wanted:
            text = self._of(request.query_id, request.question)[request.number - 1]
            try:
                clean_pseudo_doc(text)
            except LLMError as error:
                yield Sample(query_id=request.query_id, number=request.number, error=str(error))
            else:
                yield Sample(query_id=request.query_id, number=request.number, text=text)

    def _of(self, query_id: str, question: str) -> Sequence[str]:
        return self._by_key.get(_by_id(query_id)) or self._by_key.get(_by_words(question)) or ()


def _in_order(
    pool: ThreadPoolExecutor,
    ask: Callable[[SampleRequest], Sample],
    wanted: Iterable[SampleRequest],
    ahead: deque[Future[Sample]],
    most: int,
) -> Iterator[Sample]:
    for request in wanted:
        ahead.append(pool.submit(ask, request))
        if len(ahead) >= most:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _record(line: bytes, path: Path, number: int) -> tuple[str, str]:
    try:
        row = json.loads(line)
        key, text = (
            (_by_id(row["query_id"]), row["text"])
            if "query_id" in row
            else (_by_words(row["query"]), row["pseudo_doc"])
        )
        usable = isinstance(text, str) and bool(text.strip())
    except (ValueError, KeyError, TypeError, RecursionError):
        usable = False
    if not usable:
        raise UsageError(
            f'{path}, line {number}: expected {{"query_id": "…", "text": "…"}} or {{"query": "…", "pseudo_doc": "…"}} '
            "as JSON."
        )
    return key, valid_text(text)


def _by_id(query_id: object) -> str:
    if not isinstance(query_id, str | int) or isinstance(query_id, bool):
        raise TypeError("an id is a text or a whole number")
    return f"id {query_id}"


def _by_words(question: object) -> str:
    if not isinstance(question, str):
        raise TypeError("a question is a text")
    return "words " + re.sub(r"\s+", "", question)
