"""`/v1/chat/completions` and `/v1/models`: collections as models of the OpenAI protocol, for chat clients."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sse_starlette import ServerSentEvent

from bothways.api.answering import ABANDONED, ClientLeft, Events, answering, count, while_there
from bothways.api.deps import KeyedRoute, SearcherDep, SettingsDep, for_readers
from bothways.api.http.bounds import CollectionPath
from bothways.api.http.ending import Ending
from bothways.api.openai_protocol import Chunks, completion, error_of, to_ask_request
from bothways.api.problems import status_of
from bothways.api.routes.ask import AnswererDep, to_ask
from bothways.core.collections.collection import list_collections
from bothways.core.collections.visibility import as_visible, open_visible
from bothways.core.errors import BothwaysError, CollectionNotFoundError
from bothways.schemas.openai import ChatRequest, Completion, Model, Models
from bothways.search.answering.answer import Answerer, Prepared
from bothways.search.answering.types import Delta

log = structlog.get_logger()

router = APIRouter(tags=["openai"], route_class=KeyedRoute)

_EVENT = {
    "type": "object",
    "description": "one event: `data` is a chunk as JSON, at the end `[DONE]`",
    "required": ["data"],
    "properties": {"data": {"type": "string"}},
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": _EVENT}}, "description": "The answer"}
}


@router.post(
    "/chat/completions",
    response_model=Completion,
    responses=_STREAM,
    dependencies=[Depends(answering)],
    name="create_chat_completion",
)
@for_readers
async def chat(request: Request, body: ChatRequest, answerer: AnswererDep, settings: SettingsDep) -> Response:
    """Answer the last user message from the collection that is named as the model, with its sources below."""
    ask = to_ask_request(body)
    identity = f"chatcmpl-{uuid.uuid4().hex}"
    try:
        with request.app.state.last_searches.watched(ask.collection):
            prepared = await while_there(request, answerer.prepare(to_ask(ask, ask.collection, settings)))
        if body.stream:
            counted = body.stream_options is not None and body.stream_options.include_usage
            chunks = Chunks(identity, prepared.result.collection, counted=counted)
            return Events(_events(answerer, prepared, chunks, request.app.state.ending))
        answer = await while_there(request, answerer.write(prepared))
    except ClientLeft:
        return Response(status_code=499)
    count(answer)
    return Response(completion(answer, identity).model_dump_json(), media_type="application/json")


@router.get("/models")
@for_readers
def list_models(searcher: SearcherDep) -> Models:
    """List the collections that the key may see."""
    names = []
    for collection, *_ in list_collections(searcher.client):
        with suppress(CollectionNotFoundError):
            names.append(as_visible(collection, searcher.client).name)
    return Models(data=[Model(id=name) for name in names])


@router.get("/models/{name}")
@for_readers
def get_model(name: CollectionPath, searcher: SearcherDep) -> Model:
    """Return a collection as a model, if there is one of that name."""
    return Model(id=open_visible(searcher.client, name).name)


async def _events(
    answerer: Answerer, prepared: Prepared, chunks: Chunks, ending: Ending
) -> AsyncGenerator[ServerSentEvent, None]:
    finished = False
    try:
        yield _event(chunks.first())
        async with aclosing(answerer.stream(prepared)) as events:
            async for event in ending.pieces(events):
                if isinstance(event, Delta):
                    yield _event(chunks.piece(event.text))
                    continue
                count(event.answer)
                finished = True
                for chunk in chunks.last(event.answer):
                    yield _event(chunk)
                yield ServerSentEvent("[DONE]", sep="\n")
    except BothwaysError as error:
        finished = True
        yield _event(error_of(status_of(error), str(error))[1])
    except Exception as error:
        finished = True
        log.exception("unforeseen_error", kind=type(error).__name__)
        yield _event(error_of(500, "Something failed that should not have; the server's log has it.")[1])
    finally:
        if not finished:
            ABANDONED.inc()


def _event(data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(data, ensure_ascii=False), sep="\n")
