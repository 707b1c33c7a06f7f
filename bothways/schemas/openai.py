"""The shapes of OpenAI's chat completions: a collection is a model, and what OpenAI does not know is in `bothways`."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bothways.schemas.base import Response


class Part(BaseModel):
    """A part of a message; only text can be asked."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One message, as chat clients send them."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    """What a stream says beside its pieces."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion. Unknown fields are ignored: chat clients send many that mean nothing here."""

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


class CompletionMessage(Response):
    """The answer's text."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class CompletionChoice(Response):
    """The one answer that is given."""

    index: int = 0
    message: CompletionMessage
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class CompletionUsage(Response):
    """Tokens that the language model read and wrote, estimated by their characters."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(Response):
    """An answer as a whole; `bothways` is what `POST /api/v1/ask` says beside the text."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage
    bothways: dict[str, Any]


class Model(Response):
    """A collection as OpenAI shows a model; when it was made is not said."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: Literal["bothways"] = "bothways"


class Models(Response):
    """Collections as OpenAI lists models."""

    object: Literal["list"] = "list"
    data: list[Model]


class OpenAIErrorBody(Response):
    """What is wrong."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: None = None
    code: str | None


class OpenAIError(Response):
    """An error, as OpenAI has it."""

    error: OpenAIErrorBody
