"""The shapes of OpenAI's chat completions, so that any chat client can be pointed at a collection.

A collection is a model. The last user message is the question, those before it are the history. **Messages of `system`
and `developer` are left out**: the prompt is ours, since it is what keeps orders in documents from being obeyed and
citations checkable; so are `tool` messages, and sampling parameters have no effect.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bothways.api.wire.ask import MOST_TURNS, AskRequest, ask_response
from bothways.core.errors import UsageError
from bothways.core.prompts import language_of
from bothways.models.llm.usage import estimate_tokens
from bothways.search.answering.prompt import answer_prompt
from bothways.search.answering.types import Answer

PREFIX = "/v1/"

_SOURCES = {"zh": "来源：", "en": "Sources:"}
_APPENDED = re.compile(r"\n\n(?:来源：|Sources:)\n(?:\[\d+\] [^\n]*(?:\n|\Z))+\Z")
_BRACKETS = str.maketrans("[]<>", "〔〕‹›")
_IMAGE = re.compile(r"!\[|<(?=[A-Za-z/!])")


class Part(BaseModel):
    """A part of a message; only text can be asked."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One message, as chat clients send them."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def plain(self) -> str:
        """The text; raises `UsageError` where there is more than text."""
        if isinstance(self.content, list):
            if other := next((part.type for part in self.content if part.type != "text"), None):
                raise UsageError(f"Only text can be asked; a message has a part of type {other[:40]!r}.")
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """What a stream says beside its pieces."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion. What it does not know, it passes over: chat clients send much that means nothing here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "law", "messages": [{"role": "user", "content": "小孩打伤别人，家长要赔吗"}]}]
        }
    )

    model: str = Field(description="the collection")
    messages: Annotated[list[ChatMessage], Field(min_length=1, description="the conversation, the oldest first")]
    stream: bool = Field(False, description="answer as chunks, then `[DONE]`")
    stream_options: StreamOptions | None = None
    n: int = Field(1, ge=1, le=1, description="answers")
    bothways: dict[str, Any] = Field(
        default_factory=dict, description="options of `POST /api/v1/ask`, such as `top_k`, `strategy`, `filters`"
    )

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with the numbers of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


def to_ask_request(request: ChatRequest) -> AskRequest:
    """Read a conversation as a question with its history; raises `UsageError` where there is none, or a bad option."""
    said = [message for message in request.messages if message.role in {"user", "assistant"}]
    while said and said[-1].role != "user":
        said.pop()
    if not said:
        raise UsageError("There is no message of the role user, and so no question.")
    *before, question = said
    history = [{"role": one.role, "content": _APPENDED.sub("", one.plain)} for one in before[-MOST_TURNS:]]
    own = {"query": question.plain, "collection": request.model, "history": history}
    if taken := request.bothways.keys() & {*own, "stream"}:
        raise UsageError(f"{', '.join(sorted(taken))} cannot stand in `bothways`: OpenAI's own fields say that.")
    try:
        return AskRequest.model_validate(request.bothways | own)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"The request is not valid: {where}: {first['msg']}.") from error


def after_text(answer: Answer) -> str:
    """Give what is to be read after the answer's own text: its sources, what is to be said of it; or the passages."""
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


def usage(answer: Answer) -> dict[str, int]:
    """Give about how many tokens the language model read and wrote: by their characters, as it was not asked."""
    was_asked = "answer" in answer.timings_ms
    prompt = estimate_tokens(answer_prompt(answer.standalone or answer.query, answer.passages)) if was_asked else 0
    completion = estimate_tokens(answer.text) if was_asked and answer.text else 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def told_beside(answer: Answer) -> dict[str, Any]:
    """Give the field `bothways` of an answer: all that `POST /api/v1/ask` says beside the text."""
    return {name: value for name, value in ask_response(answer).items() if name not in {"answer", "query"}}


def completion(answer: Answer, identity: str) -> dict[str, Any]:
    """Give an answer as a whole."""
    content = (answer.text or "") + after_text(answer)
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": identity,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.result.collection,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": usage(answer),
        "bothways": told_beside(answer),
    }


class OpenAIErrorBody(BaseModel):
    """What is wrong."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: None
    code: str | None


class OpenAIError(BaseModel):
    """An error, as OpenAI has it."""

    error: OpenAIErrorBody


class Model(BaseModel):
    """A collection as OpenAI shows a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["bothways"]


class Models(BaseModel):
    """Collections as OpenAI lists models."""

    object: Literal["list"]
    data: list[Model]


class CompletionMessage(BaseModel):
    """The answer's text."""

    role: Literal["assistant"]
    content: str
    refusal: None


class CompletionChoice(BaseModel):
    """The one answer that is given."""

    index: int
    message: CompletionMessage
    finish_reason: Literal["stop"]
    logprobs: None


class CompletionUsage(BaseModel):
    """Tokens that the language model read and wrote, estimated by their characters."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """An answer as a whole; `bothways` is what `POST /api/v1/ask` says beside the text."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage
    bothways: dict[str, Any]


class Chunks:
    """Makes the chunks of one streamed answer. With `counted`, each says `usage: null`, and one at the end has it."""

    def __init__(self, identity: str, model: str, *, counted: bool) -> None:
        self._head = {
            "id": identity,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._counted = counted

    def first(self) -> dict[str, Any]:
        """Give the chunk that says who speaks."""
        return self._made({"role": "assistant", "content": ""})

    def piece(self, text: str) -> dict[str, Any]:
        """Give a piece of the text."""
        return self._made({"content": text})

    def last(self, answer: Answer) -> list[dict[str, Any]]:
        """Give the chunks of the end: sources, the reason why it ended with the field `bothways`, tokens if wanted."""
        after = after_text(answer)
        made = [self.piece(after)] if after else []
        made.append(self._made({}, finish_reason="stop") | {"bothways": told_beside(answer)})
        if self._counted:
            made.append(self._head | {"choices": [], "usage": usage(answer)})
        return made

    def _made(self, delta: dict[str, str], *, finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return self._head | {"choices": [choice]} | ({"usage": None} if self._counted else {})


def models(names: Sequence[str]) -> dict[str, Any]:
    """Give collections as OpenAI lists models."""
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> dict[str, Any]:
    """Give a collection as OpenAI shows a model; when it was made is not said."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "bothways"}


def error_of(status: int, detail: str) -> tuple[int, dict[str, Any]]:
    """Give status and body of an error as OpenAI has them, who answers 400 to what is not valid."""
    code = {401: "invalid_api_key", 403: "insufficient_permissions", 404: "model_not_found", 503: "overloaded"}
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"message": detail, "type": kind, "param": None, "code": code.get(status)}
    return (400 if status == 422 else status), {"error": body}


def _source(title: str, source: str) -> str:
    """Give title and source on one line; what is in them must not become a link, or a picture that somebody counts."""
    return " · ".join(" ".join(text.split()) for text in (title, source) if text.strip()).translate(_BRACKETS)


def _safe(text: str) -> str:
    return _IMAGE.sub(lambda found: found.group().translate(_BRACKETS), text)
