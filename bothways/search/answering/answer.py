"""A question's answer, top to bottom: a follow-up is made whole, searched for, read in passages, answered and checked.

Whatever fails after the search, the passages are the answer, and `degraded` says so. "未知" is decided twice: before
the language model is asked, where no hit reaches the calibrated score or nothing was found, and by the model.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, field, replace

import anyio.to_thread
import structlog

from bothways.core.errors import LLMError, MissingExtraError, ModelError, QueryError, SettingsError
from bothways.core.results import SearchResult
from bothways.models.llm.chat import ChatModel
from bothways.search.answering.history import bounded, condense
from bothways.search.answering.passages import build_passages
from bothways.search.answering.prompt import answer_prompt
from bothways.search.answering.types import Answer, Ask, Citation, Delta, Done, Event, Passage, Status, Turn
from bothways.search.answering.writing.answer_text import Writing
from bothways.search.answering.writing.links import held_addresses
from bothways.search.answering.writing.unknown import unknown_word
from bothways.search.pipeline import Searcher
from bothways.search.query.question import checked_query

log = structlog.get_logger()

CANNOT_ANSWER = (LLMError, ModelError, MissingExtraError, SettingsError)
"""What a language model raises that cannot be made, or has no answer in time."""

_NOTES: dict[Status, str] = {
    "no_model": "No language model is set (BOTHWAYS_LLM_BASE_URL or BOTHWAYS_LLM_LOCAL_MODEL): these are the passages.",
    "failed": "The language model gave no answer: these are the passages.",
    "cut": "The language model fell silent before the answer was whole.",
    "uncited": "The answer names no passage that bears it out: check it against the passages.",
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


@dataclass(slots=True, kw_only=True)
class Prepared:
    """A question that was searched for, and what an answer to it is made of."""

    ask: Ask
    standalone: str | None
    result: SearchResult
    passages: list[Passage]
    chat: ChatModel | None
    degraded: list[str]
    timings_ms: dict[str, float]
    started: float = field(default_factory=time.perf_counter)

    @property
    def question(self) -> str:
        """What is answered."""
        return self.standalone or self.ask.query


class Answerer:
    """Answers questions from collections. `prepare` searches, `stream` and `answer` let the model write.

    `chat` is called for the language model and may give None where none is set. `searching` is held during the search,
    for whoever limits how many there are at once. Nothing is kept between questions. For one event loop; in threads,
    `bothways/search/answering/blocking.py`.
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
        """Make a follow-up whole, search and choose the passages; raises what `Searcher.search` raises."""
        started = time.perf_counter()
        ask = replace(ask, query=checked_query(ask.query, max_chars=ask.options.max_query_chars).text)
        degraded: list[str] = []
        history = bounded(ask.history, turns=self._options.history_turns, tokens=self._options.history_tokens)
        chat = await self._model(degraded)
        standalone = await self._standalone(ask, history, chat, degraded) if history else None
        condensed = time.perf_counter()
        text = standalone or ask.query
        async with self._searching():
            result = await anyio.to_thread.run_sync(self._searcher.search, text, ask.collection, ask.options)
        searched = time.perf_counter()
        passages = build_passages(result.hits, max_tokens=self._options.context_tokens)
        timings = {"condense": 1000 * (condensed - started), "search": 1000 * (searched - condensed)}
        return Prepared(
            ask=ask,
            standalone=standalone,
            result=result,
            passages=passages,
            chat=chat,
            degraded=[*degraded, *result.degraded],
            timings_ms=timings,
            started=started,
        )

    async def answer(self, ask: Ask) -> Answer:
        """Answer a question as a whole; a model that cites nothing is asked once more."""
        return await self.write(await self.prepare(ask))

    async def write(self, prepared: Prepared) -> Answer:
        """Answer what was searched for as a whole."""
        asked = time.perf_counter()
        if (chat := prepared.chat) is None or not prepared.passages:
            return self._at_once(prepared)
        answer = await self._written(prepared, chat, timeout_s=self._options.timeout_s)
        if answer.status == "uncited":
            left_s = self._options.timeout_s - (time.perf_counter() - asked)
            again = await self._written(prepared, chat, again=True, timeout_s=left_s) if left_s > 0 else answer
            if again.status in {"answered", "unknown"}:
                return replace(again, removed=again.removed + answer.removed)
        return answer

    async def stream(self, prepared: Prepared) -> AsyncGenerator[Event, None]:
        """Give the answer to what was searched for as it is written, then the whole.

        Whoever stops reading closes it (`contextlib.aclosing`), which ends the model's work.
        """
        if (chat := prepared.chat) is None or not prepared.passages:
            at_once = self._at_once(prepared)
            if at_once.text:
                yield Delta(at_once.text)
            yield Done(at_once)
            return
        asked = time.perf_counter()
        writing = _writing(prepared)
        prompt = answer_prompt(prepared.question, prepared.passages)
        whole = True
        try:
            async with aclosing(chat.stream(prompt, timeout_s=self._options.timeout_s)) as pieces:
                async for piece in pieces:
                    if text := writing.feed(piece):
                        self._first(prepared, asked)
                        yield Delta(text)
        except CANNOT_ANSWER as error:
            log.warning("answer_failed", reason=str(error))
            whole = False
        if text := writing.close(whole=whole):
            self._first(prepared, asked)
            yield Delta(text)
        yield Done(self._checked(prepared, writing, asked))

    async def _written(self, prepared: Prepared, chat: ChatModel, *, timeout_s: float, again: bool = False) -> Answer:
        asked = time.perf_counter()
        writing = _writing(prepared)
        prompt = answer_prompt(prepared.question, prepared.passages, again=again)
        try:
            writing.feed(await chat.complete(prompt, timeout_s=timeout_s))
            writing.close()
        except CANNOT_ANSWER as error:
            log.warning("answer_failed", reason=str(error))
        return self._checked(prepared, writing, asked)

    def _at_once(self, prepared: Prepared) -> Answer:
        """Give the answer for which no language model is needed, or none is there."""
        if not prepared.passages:
            return self._made(prepared, "unknown", unknown_word(prepared.question), note=_UNKNOWN_BEFORE)
        return self._made(prepared, "failed" if "answer" in prepared.degraded else "no_model", None)

    def _checked(self, prepared: Prepared, writing: Writing, asked: float) -> Answer:
        prepared.timings_ms["answer"] = 1000 * (time.perf_counter() - asked)
        note = _UNKNOWN_AFTER if writing.status == "unknown" else None
        cited = [_citation(prepared.passages[n - 1]) for n in writing.cited]
        return self._made(prepared, writing.status, writing.text, cited=cited, removed=writing.removed, note=note)

    def _made(
        self,
        prepared: Prepared,
        status: Status,
        text: str | None,
        *,
        cited: list[Citation] | None = None,
        removed: int = 0,
        note: str | None = None,
    ) -> Answer:
        left_out = ["answer"] if status in {"failed", "cut", "no_model"} and "answer" not in prepared.degraded else []
        total = {"total": 1000 * (time.perf_counter() - prepared.started)}
        return Answer(
            query=prepared.ask.query,
            standalone=prepared.standalone,
            status=status,
            text=text,
            passages=prepared.passages,
            citations=cited or [],
            removed=removed,
            result=prepared.result,
            timings_ms={stage: round(ms, 2) for stage, ms in (prepared.timings_ms | total).items()},
            degraded=[*prepared.degraded, *left_out],
            note=note or _NOTES.get(status),
        )

    def _first(self, prepared: Prepared, asked: float) -> None:
        prepared.timings_ms.setdefault("first_piece", 1000 * (time.perf_counter() - asked))

    async def _model(self, degraded: list[str]) -> ChatModel | None:
        """Give the language model; one that cannot be made is none, and the log says why."""
        try:
            return await anyio.to_thread.run_sync(self._chat)  # a local one takes seconds to load
        except CANNOT_ANSWER as error:
            log.warning("answer_failed", reason=str(error))
            degraded.append("answer")
            return None

    async def _standalone(
        self, ask: Ask, history: list[Turn], chat: ChatModel | None, degraded: list[str]
    ) -> str | None:
        """Give the follow-up as a question that stands alone, None where it does already or cannot be made one."""
        try:
            if chat is None:
                raise LLMError("No language model is set.")
            made = await condense(ask.query, history, chat, timeout_s=self._options.condense_deadline_s)
            checked_query(made, max_chars=ask.options.max_query_chars)
        except (*CANNOT_ANSWER, QueryError) as error:
            log.warning("condense_failed", reason=str(error))
            degraded.append("condense")
            return None
        return made if made != ask.query else None


def _writing(prepared: Prepared) -> Writing:
    passages = prepared.passages
    return Writing(prepared.question, n=len(passages), addresses=held_addresses(passages))


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
