"""Query2Doc: a question in, a passage out that could answer it, in the words in which documents are written.

Questions learn here how documents speak (Wang, Yang, Wei 2023, "Query2doc: Query Expansion with Large Language
Models"). Only the dense legs use the passage: BM25 keeps the user's words, which an invented passage would drown. A
search never waits longer than its deadline; an answer that comes later serves the next search, so a late call is not
cancelled but bounded, in number and time (docs/decisions/query-rewriting.md).
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
"""What a longer answer is cut to: 60 words of English are about 400 characters, 80 of Chinese are 80."""

MAX_QUESTION_CHARS = 1000
"""What of a question the language model gets: of a pasted document its beginning, so that no search is dear."""

PATIENCE = 5
"""Answers that may be late in a row before searches stop waiting for them."""

_QUOTES = " \t\n\"'“”‘’「」『』`*"
_REFUSAL = re.compile(
    r"(?:(?:很|非常)?抱歉|对不起|作为(?:一[个名款])?(?:AI|人工智能|语言)(?:模型|助手|，|,)|我(?:无法|不能)"
    r"|(?:I['’]m |I am )?sorry\b|I (?:cannot|can['’]t|am unable)\b|As an AI\b)",
    re.IGNORECASE,
)


class Rewriter(Protocol):
    """Whatever gives a question its pseudo-document; used by several threads at once."""

    def rewrite(self, question: str, *, deadline_s: float) -> str:
        """Return the pseudo-document within `deadline_s` seconds, never an empty one; raises `LLMError`."""
        ...


class Query2Doc:
    """Asks a language model for the pseudo-document, once: answers are kept in the cache.

    The model is asked in threads of their own, at most `concurrency` at once and each for at most
    `timeout_s` seconds, so that no caller waits longer than its own deadline. The threads are daemons: a command that
    has shown its hits ends, whatever the model is still busy with. The cache's key is the question, the prompt's
    version and the model; what is kept is the answer as it came, so that better cleaning reaches old answers.

    After some answers in a row that came too late or not at all, no search waits for one for `pause_s` seconds; the
    model is asked all the same, so that a slow one fills the cache. Then one search tries whether it is worth it again.
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
        """Return the kept pseudo-document, or wait for the model's; raises `LLMUnavailableError` at the deadline."""
        until = time.monotonic() + deadline_s
        question = question[:MAX_QUESTION_CHARS]
        kept = self._kept(question, self._model_name) if self._model_name is not None else None
        if kept is not None:
            return kept
        answer = self._asked(question)
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
                "(BOTHWAYS_REWRITE_DEADLINE_MS); when it comes it is kept for the next search."
            ) from error
        except LLMError as error:
            self._patience.record(ok=not isinstance(error, LLMUnavailableError))
            raise
        self._patience.record(ok=True)
        return pseudo_doc

    def _asked(self, question: str) -> Future[str]:
        """Return what will be the answer: two searches for one question wait for the same."""
        with self._lock:
            if question in self._running:
                return self._running[question]
            if len(self._running) >= self._concurrency:
                raise LLMUnavailableError(
                    f"The language model has not answered {self._concurrency} earlier questions yet "
                    "(BOTHWAYS_LLM_CONCURRENCY)."
                )
            threading.Thread(target=self._run, args=(question,), name="query2doc", daemon=True).start()
            return self._running.setdefault(question, Future())

    def _run(self, question: str) -> None:
        try:
            pseudo_doc = self._written(question)
        except Exception as error:  # noqa: BLE001 – raised again by whoever waits
            self._done(question).set_exception(error)
        else:
            self._done(question).set_result(pseudo_doc)

    def _done(self, question: str) -> Future[str]:
        with self._lock:
            return self._running.pop(question)

    def _written(self, question: str) -> str:
        self._model_name = self._llm.name  # an endpoint may have to be asked for it
        kept = self._kept(question, self._model_name)
        if kept is not None:
            return kept
        answer = self._llm.generate(QUERY2DOC.fill(question, like=question), timeout_s=self._timeout_s)
        cleaned = clean_pseudo_doc(answer)
        self._cache.put(_key(question, self._model_name), answer)
        return cleaned

    def _kept(self, question: str, model_name: str) -> str | None:
        answer = self._cache.get(_key(question, model_name))
        return clean_pseudo_doc(answer) if answer is not None else None


class RecordedRewrites:
    """Pseudo-documents from a JSON-lines file `{"query": ..., "pseudo_doc": ...}`, for where no language model is.

    White space in a question does not count. Raises `UsageError` for a file that cannot be read, with the line.
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
        """Return the recorded pseudo-document, at once; raises `LLMError` where there is none."""
        recorded = self._pseudo_docs.get(_squeezed(question))
        if recorded is None:
            raise LLMError("There is no recorded pseudo-document for this question.")
        return recorded


def clean_pseudo_doc(answer: str) -> str:
    """Take the passage out of a model's answer: one line, no quotes around it, at most `MAX_CHARS` characters.

    Raises `LLMError` where nothing is left, or where the model declines instead of writing a passage.
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
