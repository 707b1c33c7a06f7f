"""`POST /api/v1/feedback`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from bothways.api.deps import KeyedRoute, RecorderDep, for_readers
from bothways.core.errors import FeedbackOffError
from bothways.schemas.search import FeedbackRequest

router = APIRouter(tags=["feedback"], route_class=KeyedRoute)


@router.post("/feedback", status_code=202, response_class=Response, name="send_feedback")
@for_readers
def feedback(request: FeedbackRequest, recorder: RecorderDep) -> Response:
    """Record what a user did with a hit; after the answer 202 no restart loses it."""
    if recorder is None:
        raise FeedbackOffError("This server records no feedback (BOTHWAYS_FEEDBACK=false).")
    recorder.acted(request.query_id, request.chunk_id, request.action)
    return Response(status_code=202)
