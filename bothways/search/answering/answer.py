"""A question's answer, top to bottom: condense a follow-up, search, choose passages, let the model write, check.

Whatever fails after the search, the passages are the answer, and `degraded` says so. "未知" is decided twice: before
the language model is asked, where no hit reaches the calibrated score or nothing was found; and by the model.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, replace

import anyio.to_thread
import structlog

from bothways.core.errors import LLMError, MissingExtraError, ModelError, QueryError, SettingsError
from bothways.core.results import SearchResult
from bothways.models.llm.chat import ChatModel
from bothways.schemas.names import AnswerStatus
from bothways.search.answering.history import bounded, condense
from bothways.search.answering.passages import build_passages
from bothways.search.answering.prompt import answer_prompt
from bothways.search.answering.types import Answer, Ask, Citation, Delta, Done, Event, Passage, Turn
from bothways.search.answering.writing.answer_text import Writing
from bothways.search.answering.writing.links import held_addresses
from bothways.search.answering.writing.unknown import unknown_word
from bothways.search.pipeline import Searcher
from bothways.search.query.question import checked_query

log = structlog.get_logger()

CANNOT_ANSWER = (LLMError, ModelError, MissingExtraError, SettingsError)
"""What is raised where a language model cannot be loaded, or has no answer in time."""

_NOTES: dict[AnswerStatus, str] = {
    "no_model": "No language model is set (BOTHWAYS_LLM_BASE_URL or BOTHWAYS_LLM_LOCAL_MODEL): these are the passages.",
    "failed": "The language model gave no answer: these are the passages.",
    "cut": "The language model stopped before the answer was complete.",
    "uncited": "The answer cites no passage: check it against the passages.",
}
_UNKNOWN_BEFORE = "Nothing was found that scores high enough to answer from; the language model was not asked."
_UNKNOWN_AFTER = "The passages do not hold the answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """How an answer is made: tokens of passages and of history, questions of history, seconds of the model."""

    context_tokens: int = 2000
    history_turns: int = 6
    history_tokens: int = 1000
    condense_deadline_s: float = 3.0
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A question that was searched for, and what an answer to it is made of; `timings_ms` are by stage."""

    ask: Ask
    standalone: str | None
    result: SearchResult
    passages: list[Passage]
    chat: ChatModel | None
    degraded: list[str]
    timings_ms: dict[str, float]
    started: float

    @property
    def question(self) -> str:
        """The question that is answered."""
        return self.standalone or self.ask.query


class Answerer:
    """Answers questions from collections. `prepare` searches, `stream` and `answer` let the model write.

    `chat` loads the language model and may return None where none is set. `searching` is entered for the time of a
    search, for callers that limit how many run at once. Nothing is kept between questions. Use it in one event loop,
    or in threads through `bothways/search/answering/blocking.py`.
    """

    def __init__(
        self,
        searcher: Searcher,
        chat: Callable[[], ChatModel | None],
        options: AnswerOptions | None = None,
        *,
        searching: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._searcher = searcher
        self._chat = chat
        self._options = options or AnswerOptions()
        self._searching = searching

    async def prepare(self, ask: Ask) -> Prepared:
        """Condense a follow-up, search, and choose the passages; raises what `Searcher.search` raises."""
        started = time.perf_counter()
        ask = replace(ask, query=checked_query(ask.query, max_chars=ask.options.max_query_chars).text)
        history = bounded(ask.history, turns=self._options.history_turns, tokens=self._options.history_tokens)
        degraded: list[str] = []
        chat: ChatModel | None = None
        standalone: str | None = None
        try:
            chat = await anyio.to_thread.run_sync(self._chat)  # a local model takes seconds to load
        except CANNOT_ANSWER as error:
            log.warning("answer_failed", reason=str(error))
            degraded.append("answer")
        if history:
            try:
                standalone = await self._condense(ask, history, chat)
            except (*CANNOT_ANSWER, QueryError) as error:
                log.warning("condense_failed", reason=str(error))
                degraded.append("condense")
        condensed = time.perf_counter()
        async with self._searching():
            result = await anyio.to_thread.run_sync(
                self._searcher.search, standalone or ask.query, ask.collection, ask.options
            )
        return Prepared(
            ask=ask,
            standalone=standalone,
            result=result,
            passages=build_passages(result.hits, max_tokens=self._options.context_tokens),
            chat=chat,
            degraded=[*degraded, *result.degraded],
            timings_ms={"condense": 1000 * (condensed - started), "search": _ms_since(condensed)},
            started=started,
        )

    async def _condense(self, ask: Ask, history: list[Turn], chat: ChatModel | None) -> str | None:
        """Return the follow-up as a question that stands alone; None where it does already."""
        if chat is None:
            raise LLMError("No language model is set.")
        question = await condense(ask.query, history, chat, timeout_s=self._options.condense_deadline_s)
        checked_query(question, max_chars=ask.options.max_query_chars)
        return question if question != ask.query else None

    async def answer(self, ask: Ask) -> Answer:
        """Return the whole answer to a question; a model that cites nothing is asked once more."""
        return await self.write(await self.prepare(ask))

    async def write(self, prepared: Prepared) -> Answer:
        """Return the whole answer to what was searched for."""
        if (chat := prepared.chat) is None or not prepared.passages:
            return _without_model(prepared)
        started = time.perf_counter()
        answer = await self._write_once(prepared, chat, timeout_s=self._options.timeout_s)
        left_s = self._options.timeout_s - (time.perf_counter() - started)
        if answer.status == "uncited" and left_s > 0:
            again = await self._write_once(prepared, chat, again=True, timeout_s=left_s)
            if again.status in {"answered", "unknown"}:
                return replace(again, removed=again.removed + answer.removed)
        return answer

    async def stream(self, prepared: Prepared) -> AsyncGenerator[Event, None]:
        """Yield the answer to what was searched for in pieces as it is written, then the whole.

        A reader that stops early must close it (`contextlib.aclosing`), which ends the model's work.
        """
        if (chat := prepared.chat) is None or not prepared.passages:
            answer = _without_model(prepared)
            if answer.text:
                yield Delta(answer.text)
            yield Done(answer)
            return
        started = time.perf_counter()
        timings_ms: dict[str, float] = {}
        writing = _writing(prepared)
        prompt = answer_prompt(prepared.question, prepared.passages)
        whole = True
        try:
            async with aclosing(chat.stream(prompt, timeout_s=self._options.timeout_s)) as pieces:
                async for piece in pieces:
                    if text := writing.feed(piece):
                        timings_ms.setdefault("first_piece", _ms_since(started))
                        yield Delta(text)
        except CANNOT_ANSWER as error:
            log.warning("answer_failed", reason=str(error))
            whole = False
        if text := writing.close(whole=whole):
            timings_ms.setdefault("first_piece", _ms_since(started))
            yield Delta(text)
        yield Done(_written(prepared, writing, timings_ms | {"answer": _ms_since(started)}))

    async def _write_once(
        self, prepared: Prepared, chat: ChatModel, *, timeout_s: float, again: bool = False
    ) -> Answer:
        started = time.perf_counter()
        writing = _writing(prepared)
        prompt = answer_prompt(prepared.question, prepared.passages, again=again)
        try:
            writing.feed(await chat.complete(prompt, timeout_s=timeout_s))
            writing.close()
        except CANNOT_ANSWER as error:
            log.warning("answer_failed", reason=str(error))
        return _written(prepared, writing, {"answer": _ms_since(started)})


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)


def _writing(prepared: Prepared) -> Writing:
    passages = prepared.passages
    return Writing(prepared.question, n=len(passages), addresses=held_addresses(passages))


def _without_model(prepared: Prepared) -> Answer:
    """Return the answer where no language model is needed, or there is none."""
    if not prepared.passages:
        return _answer(prepared, "unknown", unknown_word(prepared.question), note=_UNKNOWN_BEFORE)
    return _answer(prepared, "failed" if "answer" in prepared.degraded else "no_model", None)


def _written(prepared: Prepared, writing: Writing, timings_ms: dict[str, float]) -> Answer:
    return replace(
        _answer(
            replace(prepared, timings_ms=prepared.timings_ms | timings_ms),
            writing.status,
            writing.text,
            note=_UNKNOWN_AFTER if writing.status == "unknown" else None,
        ),
        citations=[_citation(prepared.passages[n - 1]) for n in writing.cited],
        removed=writing.removed,
    )


def _answer(prepared: Prepared, status: AnswerStatus, text: str | None, *, note: str | None = None) -> Answer:
    failed = ["answer"] if status in {"failed", "cut", "no_model"} and "answer" not in prepared.degraded else []
    timings_ms = prepared.timings_ms | {"total": _ms_since(prepared.started)}
    return Answer(
        query=prepared.ask.query,
        standalone=prepared.standalone,
        status=status,
        text=text,
        passages=prepared.passages,
        citations=[],
        removed=0,
        result=prepared.result,
        timings_ms={stage: round(ms, 2) for stage, ms in timings_ms.items()},
        degraded=[*prepared.degraded, *failed],
        note=note or _NOTES.get(status),
    )


def _citation(passage: Passage) -> Citation:
    hit = passage.hit
    return Citation(
        n=passage.n,
        chunk_id=passage.chunk_id,
        doc_id=hit.doc_id,
        title=hit.title,
        source=hit.source,
        metadata=hit.metadata,
    )
