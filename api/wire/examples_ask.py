"""Examples of questions and an answer for the OpenAPI description; a test holds them against the models."""

from __future__ import annotations

from pydantic import JsonValue

from bothways.api.wire.examples import ANSWER_EXAMPLE, QUESTION

_HIT: dict[str, JsonValue] = ANSWER_EXAMPLE["hits"][0]  # type: ignore[index, assignment]
_NAMED = ("chunk_id", "doc_id", "title", "source", "metadata")

ASK_EXAMPLES: list[JsonValue] = [
    {"query": QUESTION, "collection": "law"},
    {
        "query": "那孩子自己有钱呢",
        "collection": "law",
        "history": [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": "要，由监护人承担侵权责任；尽到监护职责的，可以减轻 [1]。"},
        ],
        "top_k": 8,
        "stream": True,
    },
]
"""The least that a question needs; a follow-up, streamed."""

PLAIN_ASK_EXAMPLES: list[JsonValue] = [{"query": QUESTION}]

ASK_ANSWER_EXAMPLE: dict[str, JsonValue] = {
    "query": QUESTION,
    "standalone": None,
    "pseudo_doc": None,
    "contexts": [
        {
            "n": 1,
            **{name: _HIT[name] for name in _NAMED},
            "chunk_ids": [_HIT["chunk_id"]],
            "text": _HIT["text"],
            "rank": 1,
            "score": 0.9982,
            "highlights": [],
        }
    ],
    "answer": "要。小孩造成他人损害的，由监护人承担侵权责任；监护人尽到监护职责的，可以减轻其责任[1]。",
    "status": "answered",
    "note": None,
    "citations": [{"n": 1, **{name: _HIT[name] for name in _NAMED}}],
    "removed_citations": 0,
    "strategy": "hybrid",
    "collection": "law",
    "index": "bothways-law-v1",
    "degraded": [],
    "timings_ms": {"encode": 5.3, "retrieve": 61.5, "condense": 0.0, "search": 90.2, "answer": 1240.7, "total": 1331.6},
    "facets": {},
    "self_query": None,
}
