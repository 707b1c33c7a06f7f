"""Query2Doc: a language model writes a passage that could answer the question, in the words of documents.

The method is of Wang, Yang, Wei 2023, "Query2doc: Query Expansion with Large Language Models". Only the dense legs use
the passage; in BM25 it would drown the user's own words. A search never waits longer than its deadline. An answer that
comes later serves the next search, so late calls are not cancelled, but bounded in number and time. The measurements
are in docs/decisions/query-rewriting.md.
"""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from bothways.core.errors import LLMError, LLMUnavailableError, UsageError
from bothways.core.prompts import Prompt
from bothways.core.text.valid import valid_text
from bothways.models.circuit import Circuit
from bothways.models.llm.answer_cache import AnswerCache, cache_key
from bothways.models.llm.language_model import LanguageModel

QUERY2DOC = Prompt("bothways.search.query", "query2doc", data="question")

MAX_CHARS = 500
"""Longer answers are cut; the prompt asks for 60 words of English (about 400 characters) or 80 Chinese ones."""

MAX_QUESTION_CHARS = 1000
"""Characters of a question that the language model gets: of a pasted document only the beginning, to bound the cost."""

PATIENCE = 5
"""Late answers in a row after which searches stop waiting for them."""

_QUOTES = " \t\n\"'“”‘’「」『』`*"
_REFUSAL = re.compile(
    r"(?:(?:很|非常)?抱歉|对不起|作为(?:一[个名款])?(?:AI|人工智能|语言)(?:模型|助手|，|,)|我(?:无法|不能)"
    r"|(?:I['’]m |I am )?sorry\b|I (?:cannot|can['’]t|am unable)\b|As an AI\b)",
    re.IGNORECASE,
)


class Rewriter(Protocol):
    """Writes the pseudo-document of a question. Thread-safe."""

    def rewrite(self, question: str, *, deadline_s: float) -> str:
        """Return the pseudo-document within `deadline_s` seconds, never an empty one; raises `LLMError`."""
        ...


class Query2Doc:
    """Asks a language model for pseudo-documents, and caches its answers.

    Each call has a thread of its own, so that no caller waits longer than its deadline. There are at most `concurrency`
    calls at once, each of at most `timeout_s` seconds. The threads are daemons: a command that has shown its hits ends,
    even while the model still works. The cache's key is the question, the prompt's version and the model; the answer is
    kept as it came, so that better cleaning reaches old answers.

    After `PATIENCE` late or missing answers in a row, no search waits for one for `pause_s` seconds. The model is still
    asked, so that a slow one fills the cache. Then one search tries whether it answers in time again.
    """

    def __init__(
        self,
        llm: LanguageModel,
        cache: AnswerCache,
        *,
        timeout_s: float = 60.0,
        concurrency: int = 8,
        pause_s: float = 15.0,
    ) -> None:
        self._llm = llm
        self._cache = cache
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._running: dict[str, Future[str]] = {}
        self._patience = Circuit(PATIENCE, pause_s, event="query2doc.not_waited_for")
        self._model_name: str | None = None

    def rewrite(self, question: str, *, deadline_s: float) -> str:
        """Return the cached pseudo-document, or wait for the model's; raises `LLMUnavailableError` at the deadline."""
        until = time.monotonic() + deadline_s
        question = question[:MAX_QUESTION_CHARS]
        if self._model_name is not None and (cached := self._cached(question, self._model_name)) is not None:
            return cached
        answer = self._start(question)
        if not answer.done() and not self._patience.admits():
            raise LLMUnavailableError(
                "The language model's last pseudo-documents came too late or not at all, so this one is not waited for."
            )
        try:
            pseudo_doc = answer.result(max(0.0, until - time.monotonic()))
        except TimeoutError as error:
            self._patience.record(ok=False)
            raise LLMUnavailableError(
                f"The language model gave no pseudo-document within {1000 * deadline_s:g} ms "
                "(BOTHWAYS_REWRITE_DEADLINE_MS); a later answer is kept for the next search."
            ) from error
        except LLMError as error:
            self._patience.record(ok=not isinstance(error, LLMUnavailableError))
            raise
        self._patience.record(ok=True)
        return pseudo_doc

    def _start(self, question: str) -> Future[str]:
        """Start a call and return its future; two searches for one question share a call."""
        with self._lock:
            if question in self._running:
                return self._running[question]
            if len(self._running) >= self._concurrency:
                raise LLMUnavailableError(
                    f"The language model has not answered {self._concurrency} earlier questions yet "
                    "(BOTHWAYS_LLM_CONCURRENCY)."
                )
            answer: Future[str] = Future()
            self._running[question] = answer
            threading.Thread(target=self._run, args=(question, answer), name="query2doc", daemon=True).start()
            return answer

    def _run(self, question: str, answer: Future[str]) -> None:
        try:
            try:
                pseudo_doc = self._write(question)
            finally:
                with self._lock:
                    del self._running[question]
        except Exception as error:  # noqa: BLE001 – raised again in the threads that wait
            answer.set_exception(error)
        else:
            answer.set_result(pseudo_doc)

    def _write(self, question: str) -> str:
        self._model_name = self._llm.name  # may be a request to the endpoint
        cached = self._cached(question, self._model_name)
        if cached is not None:
            return cached
        answer = self._llm.generate(QUERY2DOC.fill(question, like=question), timeout_s=self._timeout_s)
        cleaned = clean_pseudo_doc(answer)
        self._cache.put(_key(question, self._model_name), answer)
        return cleaned

    def _cached(self, question: str, model_name: str) -> str | None:
        answer = self._cache.get(_key(question, model_name))
        return clean_pseudo_doc(answer) if answer is not None else None


class RecordedRewrites:
    """Pseudo-documents from a JSON-lines file `{"query": ..., "pseudo_doc": ...}`, instead of a language model's.

    White space in a question does not count. Raises `UsageError` with the line for a file that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"The pseudo-documents in {path} cannot be read: {error.strerror or error}.") from error
        self._pseudo_docs: dict[str, str] = {}
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            if line.strip():
                query, pseudo_doc = _record(line, path, number)
                self._pseudo_docs.setdefault(query, pseudo_doc)

    def rewrite(self, question: str, *, deadline_s: float) -> str:  # noqa: ARG002 – part of the interface
        """Return the recorded pseudo-document; raises `LLMError` where there is none."""
        recorded = self._pseudo_docs.get(_squeezed(question))
        if recorded is None:
            raise LLMError("There is no recorded pseudo-document for this question.")
        return recorded


def clean_pseudo_doc(answer: str) -> str:
    """Return the passage in a model's answer: one line, without quotes around it, at most `MAX_CHARS` characters.

    Raises `LLMError` where nothing is left, or where the model declined to write a passage.
    """
    text = " ".join(valid_text(answer).strip(_QUOTES).split())[:MAX_CHARS]
    if not text:
        raise LLMError("The language model's answer holds no pseudo-document.")
    if _REFUSAL.match(text):
        raise LLMError("The language model declined to write a pseudo-document.")
    return text


def _key(question: str, model_name: str) -> str:
    return cache_key("query2doc", question, QUERY2DOC.version, model_name)


def _record(line: bytes, path: Path, number: int) -> tuple[str, str]:
    try:
        row = json.loads(line)
        query, pseudo_doc = row["query"], row["pseudo_doc"]
        valid = isinstance(query, str) and isinstance(pseudo_doc, str)
    except (ValueError, KeyError, TypeError, RecursionError):
        valid = False
    if not valid or not (squeezed := _squeezed(query)) or not pseudo_doc.strip():
        raise UsageError(f'{path}, line {number}: expected {{"query": "…", "pseudo_doc": "…"}} as JSON.')
    return squeezed, " ".join(valid_text(pseudo_doc).split())


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
