"""Chat completions as OpenAI has them, so that any chat client can be pointed at a collection.

A collection is a model. The last user message is the question, those before it are the history. **Messages of `system`
and `developer` are left out**: the prompt is ours, since it is what keeps orders in documents from being obeyed and
citations checkable; so are `tool` messages, and sampling parameters have no effect.
"""

from __future__ import annotations

import re
import time
from typing import Any

from pydantic import ValidationError

from bothways.api import answers
from bothways.core.errors import UsageError
from bothways.core.prompts import language_of
from bothways.models.llm.usage import estimate_tokens
from bothways.schemas.ask import AskRequest
from bothways.schemas.bounds import MAX_MESSAGES
from bothways.schemas.openai import (
    ChatMessage,
    ChatRequest,
    Completion,
    CompletionChoice,
    CompletionMessage,
    CompletionUsage,
    OpenAIError,
    OpenAIErrorBody,
)
from bothways.search.answering.prompt import answer_prompt
from bothways.search.answering.types import Answer

PREFIX = "/v1/"

_SOURCES = {"zh": "来源：", "en": "Sources:"}
_APPENDED = re.compile(r"\n\n(?:来源：|Sources:)\n(?:\[\d+\] [^\n]*(?:\n|\Z))+\Z")
_BRACKETS = str.maketrans("[]<>", "〔〕‹›")
_IMAGE = re.compile(r"!\[|<(?=[A-Za-z/!])")
_CODES = {401: "invalid_api_key", 403: "insufficient_permissions", 404: "model_not_found", 503: "overloaded"}


def to_ask_request(request: ChatRequest) -> AskRequest:
    """Read a conversation as a question with its history; raises `UsageError` where there is none, or a bad option."""
    said = [message for message in request.messages if message.role in {"user", "assistant"}]
    while said and said[-1].role != "user":
        said.pop()
    if not said:
        raise UsageError("There is no message of the role user, and so no question.")
    *before, question = said
    history = [{"role": one.role, "content": _APPENDED.sub("", _text(one))} for one in before[-MAX_MESSAGES:]]
    own = {"query": _text(question), "collection": request.model, "history": history}
    if taken := request.bothways.keys() & {*own, "stream"}:
        raise UsageError(f"{', '.join(sorted(taken))} cannot stand in `bothways`: OpenAI's own fields say that.")
    try:
        return AskRequest.model_validate(request.bothways | own)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"The request is not valid: {where}: {first['msg']}.") from error


def _text(message: ChatMessage) -> str:
    """Return the text of a message; raises `UsageError` where there is more than text."""
    if isinstance(message.content, list):
        if other := next((part.type for part in message.content if part.type != "text"), None):
            raise UsageError(f"Only text can be asked; a message has a part of type {other[:40]!r}.")
        return "\n".join(part.text for part in message.content)
    return message.content or ""


def completion(answer: Answer, identity: str) -> Completion:
    """Return an answer as a whole."""
    message = CompletionMessage(content=(answer.text or "") + after_text(answer))
    return Completion(
        id=identity,
        model=answer.result.collection,
        choices=[CompletionChoice(message=message)],
        usage=_usage(answer),
        bothways=_beside(answer),
    )


class Chunks:
    """Makes the chunks of one streamed answer.

    With `counted`, each chunk says `usage: null`, and one more at the end has the numbers of tokens.
    """

    def __init__(self, identity: str, model: str, *, counted: bool) -> None:
        self._head = {
            "id": identity,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._counted = counted

    def first(self) -> dict[str, Any]:
        """Return the chunk that says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> dict[str, Any]:
        """Return a piece of the text."""
        return self._chunk({"content": text})

    def last(self, answer: Answer) -> list[dict[str, Any]]:
        """Return the chunks of the end: the sources, why it ended with the field `bothways`, tokens if asked for."""
        after = after_text(answer)
        chunks = [self.piece(after)] if after else []
        chunks.append(self._chunk({}, finish_reason="stop") | {"bothways": _beside(answer)})
        if self._counted:
            chunks.append(self._head | {"choices": [], "usage": _usage(answer).model_dump()})
        return chunks

    def _chunk(self, delta: dict[str, str], *, finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return self._head | {"choices": [choice]} | ({"usage": None} if self._counted else {})


def error_of(status: int, detail: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error as OpenAI has them, who answers 400 to what is not valid."""
    body = OpenAIErrorBody(
        message=detail,
        type="server_error" if status >= 500 else "invalid_request_error",
        code=_CODES.get(status),
    )
    return (400 if status == 422 else status), OpenAIError(error=body).model_dump()


def after_text(answer: Answer) -> str:
    """Return what is to be read after the answer's own text: its note and sources; without a text, the passages."""
    if answer.text is None:
        shown = [f"[{one.n}] {_source(one.hit.title, one.hit.source)}\n{_safe(one.text)}" for one in answer.passages]
        return "\n\n".join([answer.note or "There is no answer.", *shown])
    parts = []
    if answer.note and answer.status in {"uncited", "cut"}:
        parts.append(f"\n\n({answer.note})")
    if answer.citations:
        lines = [f"[{one.n}] {_source(one.title, one.source)}" for one in answer.citations]
        parts.append("\n\n" + "\n".join([_SOURCES[language_of(answer.query)], *lines]))
    return "".join(parts)


def _usage(answer: Answer) -> CompletionUsage:
    """Estimate the tokens by characters: a model's endpoint need not count them."""
    was_asked = "answer" in answer.timings_ms
    prompt = estimate_tokens(answer_prompt(answer.standalone or answer.query, answer.passages)) if was_asked else 0
    written = estimate_tokens(answer.text) if was_asked and answer.text else 0
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=written, total_tokens=prompt + written)


def _beside(answer: Answer) -> dict[str, Any]:
    return answers.answer(answer).model_dump(exclude={"answer", "query"})


def _source(title: str, source: str) -> str:
    """Return title and source on one line; brackets are replaced, so that they become no link and no picture."""
    return " · ".join(" ".join(text.split()) for text in (title, source) if text.strip()).translate(_BRACKETS)


def _safe(text: str) -> str:
    return _IMAGE.sub(lambda found: found.group().translate(_BRACKETS), text)
