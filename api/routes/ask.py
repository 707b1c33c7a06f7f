"""`POST /api/v1/ask`, and `POST /ask` for those who send the question alone."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from bothways.api import answers
from bothways.api.answering import ClientLeft, answering, count, streamed, while_there
from bothways.api.deps import KeyedRoute, SearcherDep, SettingsDep, for_readers
from bothways.core.collections.collection import list_collections
from bothways.core.collections.visibility import as_visible
from bothways.core.errors import CollectionNotFoundError, UsageError
from bothways.core.settings import Settings
from bothways.schemas.ask import Answer, AskRequest, PlainAnswer, PlainAskRequest
from bothways.search.answering.answer import Answerer
from bothways.search.answering.build import answer_options
from bothways.search.answering.types import Ask, Turn
from bothways.search.options import options
from bothways.search.pipeline import Searcher

router = APIRouter(tags=["ask"], route_class=KeyedRoute)
plain_router = APIRouter(tags=["ask"], route_class=KeyedRoute)

_EVENT = {
    "type": "object",
    "description": "one event: `data` is JSON",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["delta", "done", "error"]}, "data": {"type": "string"}},
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": _EVENT}}, "description": "The answer"}
}


def _answerer(request: Request, searcher: SearcherDep, settings: SettingsDep) -> Answerer:
    state = request.app.state
    return Answerer(searcher, state.chat, answer_options(settings), searching=state.answer_admission.searching)


AnswererDep = Annotated[Answerer, Depends(_answerer)]


@router.post("/ask", response_model=Answer, responses=_STREAM, dependencies=[Depends(answering)])
@for_readers
async def ask(request: Request, body: AskRequest, answerer: AnswererDep, settings: SettingsDep) -> Response:
    """Answer a question from the passages that are found for it, with citations."""
    return await _answered(request, body, body.collection, answerer, settings)


@plain_router.post(
    "/ask", response_model=PlainAnswer, responses=_STREAM, dependencies=[Depends(answering)], name="ask_plain"
)
@for_readers
async def plain_ask(
    request: Request, body: PlainAskRequest, answerer: AnswererDep, searcher: SearcherDep, settings: SettingsDep
) -> Response:
    """Answer `{"query": ...}` from the collection of BOTHWAYS_ASK_COLLECTION, or the only one; contexts are texts."""
    collection = body.collection or settings.ask_collection
    if not collection:
        collection = await run_in_threadpool(the_collection, searcher)
    return await _answered(request, body, collection, answerer, settings, plain=True)


async def _answered(
    request: Request,
    body: AskRequest,
    collection: str,
    answerer: Answerer,
    settings: Settings,
    *,
    plain: bool = False,
) -> Response:
    shape = partial(answers.plain_answer if plain else answers.answer, explain=body.explain)
    try:
        with request.app.state.last_searches.watched(collection):
            prepared = await while_there(request, answerer.prepare(to_ask(body, collection, settings)))
        if body.stream:
            return streamed(answerer, prepared, shape, request.app.state.ending)
        answered = await while_there(request, answerer.write(prepared))
    except ClientLeft:
        return Response(status_code=499)  # nginx's number for it; nobody reads it but the log
    count(answered)
    return Response(shape(answered).model_dump_json(), media_type="application/json")


def to_ask(body: AskRequest, collection: str, settings: Settings) -> Ask:
    """Read a request."""
    history = [Turn(message.role, message.content) for message in body.history]
    how = options(settings.search, body.given())
    return Ask(query=body.query, collection=collection, options=how, history=history)


def the_collection(searcher: Searcher) -> str:
    """Return the collection for a request that names none: `default`, or the only one that the caller can see."""
    names = []
    for collection, *_ in list_collections(searcher.client):
        with suppress(CollectionNotFoundError):
            names.append(as_visible(collection, searcher.client).name)
    if "default" in names:
        return "default"
    if len(names) == 1:
        return names[0]
    if not names:
        raise CollectionNotFoundError("There is no collection yet: index something first.")
    raise UsageError(
        f"There are several collections ({', '.join(names[:10])}): name one in `collection`, or set "
        "BOTHWAYS_ASK_COLLECTION."
    )
