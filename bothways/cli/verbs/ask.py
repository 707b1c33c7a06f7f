"""`bothways ask`: one question answered with citations, or a conversation: on a terminal, or a line a question."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import aclosing
from typing import Annotated

import typer
from rich.text import Text

from bothways.api import answers
from bothways.cli.options import (
    AsGroupsOption,
    CollectionOption,
    FilterOption,
    FusionOption,
    JsonOption,
    MinScoreOption,
    RankWindowOption,
    RewriteOption,
    SelfQueryOption,
    StrategyOption,
    parse_access,
    parse_filters,
)
from bothways.cli.output import err, out, print_json, printable
from bothways.core.errors import BothwaysError
from bothways.core.lazy import Lazy
from bothways.core.settings import settings
from bothways.models.llm.chat import load_chat
from bothways.schemas.bounds import MAX_CONTEXT
from bothways.schemas.options import options
from bothways.search.answering.answer import Answerer
from bothways.search.answering.build import answer_options
from bothways.search.answering.types import Answer, Ask, Delta, Turn
from bothways.search.build import build_searcher
from bothways.search.options import SearchOptions

_PROMPT = "? "


def ask(
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="what to ask; without it, a conversation until Ctrl-D")
    ] = None,
    collection: CollectionOption = "default",
    strategy: StrategyOption = "hybrid_rerank",
    top_k: Annotated[
        int, typer.Option(min=1, max=100, help="hits to answer from, as far as they fit into the prompt")
    ] = 5,
    context: Annotated[int, typer.Option(min=0, max=MAX_CONTEXT, help="chunks to read before and after a hit")] = 0,
    rank_window_size: RankWindowOption = None,
    min_score: MinScoreOption = None,
    filter_: FilterOption = None,
    self_query: SelfQueryOption = None,
    rewrite: RewriteOption = None,
    fusion: FusionOption = None,
    as_groups: AsGroupsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from a collection, with citations."""
    given = {
        "strategy": strategy,
        "top_k": top_k,
        "context": context,
        "leg_k": rank_window_size,
        "min_score": min_score,
        "filters": parse_filters(filter_ or []),
        "self_query": self_query,
        "rewrite": rewrite,
        "fusion": fusion,
    }
    searcher, _ = build_searcher(settings())
    chat = Lazy(lambda: load_chat(settings()))
    answerer = Answerer(searcher.seen_by(parse_access(as_groups)), chat, answer_options(settings()))
    with asyncio.Runner() as runner:
        conversation = Conversation(answerer, collection, options(settings().search, given), runner, as_json=as_json)
        try:
            if question is not None:
                conversation.ask(question)
            else:
                _talk(conversation)
        finally:
            if chat.made and (model := chat()) is not None:
                runner.run(model.aclose())


class Conversation:
    """Asks one question after the other and prints the answers; what was said is remembered."""

    def __init__(
        self, answerer: Answerer, collection: str, options: SearchOptions, runner: asyncio.Runner, *, as_json: bool
    ) -> None:
        self._answerer = answerer
        self._collection = collection
        self._options = options
        self._runner = runner
        self._as_json = as_json
        self._history: list[Turn] = []

    def ask(self, question: str) -> None:
        """Answer a question; Ctrl-C ends the answer with a `KeyboardInterrupt`, and it is not remembered."""
        answer = self._runner.run(self._answered(question))
        if answer.text is not None:
            self._history += [Turn("user", question), Turn("assistant", answer.text)]

    async def _answered(self, question: str) -> Answer:
        asked = Ask(query=question, collection=self._collection, options=self._options, history=tuple(self._history))
        if self._as_json:
            answer = await self._answerer.answer(asked)
            print_json(answers.answer(answer))
            return answer
        prepared = await self._answerer.prepare(asked)
        async with aclosing(self._answerer.stream(prepared)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    sys.stdout.write(printable(event.text))
                    sys.stdout.flush()
                else:
                    _show(event.answer)
                    return event.answer
        raise RuntimeError("the answer has no end")


def _talk(conversation: Conversation) -> None:
    """Answer question by question; an error ends a question and not the conversation."""
    failed = False
    for question in _questions():
        try:
            conversation.ask(question)
        except KeyboardInterrupt:
            err.print("\n(interrupted)", style="dim")
        except BothwaysError as error:
            err.print(f"bothways: {error}", style="red" if err.is_terminal else None, markup=False)
            failed = True
    if failed and not sys.stdin.isatty():
        raise typer.Exit(1)


def _questions() -> Iterator[str]:
    """Yield the lines that are typed, or that come through a pipe, until their end (Ctrl-D)."""
    typed = sys.stdin.isatty()
    if typed:
        import readline  # noqa: F401 – gives `input` its editing keys

        err.print("Ask; Ctrl-C ends an answer, Ctrl-D the conversation.", style="dim")
    while True:
        try:
            line = input(_PROMPT if typed else "")
        except EOFError:
            if typed:
                out.print()
            return
        except KeyboardInterrupt:
            if not typed:
                raise
            err.print("\n(Ctrl-D ends the conversation)", style="dim")
            continue
        if line.strip():
            yield line


def _show(answer: Answer) -> None:
    """Print what belongs to an answer that has been written: its sources, or the passages where there is none."""
    if answer.text is not None:
        sys.stdout.write("\n")
        sys.stdout.flush()
    if answer.standalone is not None:
        _print(f"understood as: {answer.standalone}", "dim")
    for citation in answer.citations:
        _print(f"[{citation.n}] {citation.title}  {citation.source}", "dim")
    if answer.text is None or answer.status == "uncited":
        for passage in answer.passages:
            _print(f"[{passage.n}] {passage.hit.title}  {passage.hit.source}", "bold")
            _print("    " + passage.text.replace("\n", "\n    "))
    notes = [answer.note] if answer.note else []
    if answer.removed:
        notes.append(f"{answer.removed} citations named no passage and were left out.")
    if answer.degraded:
        notes.append(f"left out: {', '.join(answer.degraded)}")
    for note in notes:
        err.print(Text(printable(note), "dim"))


def _print(text: str, style: str = "") -> None:
    out.print(Text(printable(text), style))
