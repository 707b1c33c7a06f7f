"""How reranking services are asked and how they answer: three protocols, as pure functions from and to JSON.

Cohere's `POST /v2/rerank` and Jina's `POST /v1/rerank` (which vLLM, Xinference and LocalAI speak too) answer with a
relevance between 0 and 1; text-embeddings-inference's `POST /rerank` is asked for raw scores, which are logits. All of
them come out as logits, in the order of the passages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeGuard
from urllib.parse import urlunsplit

from bothways.client.role_tokens import break_role_tokens
from bothways.core.errors import ModelError
from bothways.models.http import check_address

Protocol = Literal["cohere", "jina", "tei"]
PATHS: Mapping[Protocol, str] = {"cohere": "/v2/rerank", "jina": "/v1/rerank", "tei": "/rerank"}
MOST_PASSAGES: Mapping[Protocol, int] = {"cohere": 1000, "jina": 1000, "tei": 32}
"""Passages in one request. 32 is what text-embeddings-inference allows unless it is started with more."""
MOST = 1e30
"""No score is as large. Infinities, NaN and integers beyond all floats are not smaller, so they are refused."""
CLIP = 1e-7
"""A relevance nearer to 0 or 1 counts as this near, so that its logit is finite: ±16.1."""


def endpoint(url: str, protocol: Protocol | Literal["auto"]) -> tuple[str, Protocol]:
    """Return the whole address and the protocol; an address without `/rerank` at its end gets the protocol's path.

    `auto` decides by the end of the path, then by the host's name; the default is text-embeddings-inference. Raise
    `SettingsError` if it is not an http address.
    """
    parts = check_address(url, "BOTHWAYS_RERANKER_URL", example="http://127.0.0.1:8080/rerank")
    path = parts.path.rstrip("/")
    spoken = protocol if protocol != "auto" else _spoken(path, parts.hostname or "")
    if not path.endswith("/rerank"):
        version = PATHS[spoken].removesuffix("/rerank")
        path = path.removesuffix(version) + PATHS[spoken]
    return urlunsplit(parts._replace(path=path, fragment="")), spoken


def _spoken(path: str, host: str) -> Protocol:
    bare = path.removesuffix("/rerank")
    if bare.endswith("/v2") or host.endswith("cohere.com"):
        return "cohere"
    if bare.endswith("/v1") or host.endswith("jina.ai"):
        return "jina"
    return "tei"


def request_body(protocol: Protocol, model: str | None, query: str, passages: Sequence[str]) -> dict[str, Any]:
    """Return the body of a request that scores all passages and sends none of them back.

    Role tokens are broken up in all texts: many rerankers of today are language models with a prompt around them.
    """
    query, passages = break_role_tokens(query), [break_role_tokens(passage) for passage in passages]
    if protocol == "tei":
        return {"query": query, "texts": passages, "raw_scores": True, "truncate": True}
    body = {"model": model, "query": query, "documents": passages, "top_n": len(passages)}
    return {**body, "return_documents": False} if protocol == "jina" else body


def read_answer(protocol: Protocol, answer: Any, passages: int) -> list[float]:  # noqa: ANN401 – any JSON
    """Return a logit for each passage; raise `ModelError` for an answer that is not one of the protocol."""
    name = "score" if protocol == "tei" else "relevance_score"
    rows = answer if protocol == "tei" else answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ModelError(f"it sent something that is not an answer of the {protocol} protocol")
    scores: dict[int, float] = {}
    for row in rows:
        place, score = (row.get("index"), row.get(name)) if isinstance(row, dict) else (None, None)
        if type(place) is not int or not 0 <= place < passages or not _is_number(score):
            raise ModelError(f"it sent a row without a usable index and {name}")
        scores[place] = float(score)
    if len(rows) != passages or len(scores) != passages:
        raise ModelError(f"it scored {len(scores)} of {passages} passages in {len(rows)} rows")
    if protocol == "tei":
        return [scores[place] for place in range(passages)]
    if not all(0 <= score <= 1 for score in scores.values()):
        raise ModelError(f"it sent a {name} outside of 0 to 1, which is no relevance of the {protocol} protocol")
    return [logit(scores[place]) for place in range(passages)]


def _is_number(value: object) -> TypeGuard[float]:
    """Return whether it is a finite number that fits into a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -MOST < value < MOST


def logit(relevance: float) -> float:
    """Return ln(p / (1 - p)) of a relevance in 0..1, which a sigmoid undoes; clipped, so that it is finite."""
    p = min(max(relevance, CLIP), 1 - CLIP)
    return math.log(p / (1 - p))
