"""Examples for the OpenAPI description, from a collection of three statutes; a test holds them against the models."""

from __future__ import annotations

from pydantic import JsonValue

QUESTION = "小孩把人打伤了家长要赔钱吗"

SEARCHES: list[JsonValue] = [
    {"query": QUESTION, "collection": "law"},
    {
        "query": QUESTION,
        "collection": "law",
        "strategy": "hybrid",
        "top_k": 1,
        "explain": True,
        "highlight": True,
        "facets": ["law"],
        "context": 1,
    },
    {"query": QUESTION, "collection": "law", "top_k": 10, "offset": 10, "filters": {"law": "中华人民共和国民法典"}},
]
"""The least that a search needs; all that it can show; a second page."""

SEARCH_RESULT: dict[str, JsonValue] = {
    "query_id": "73c8a318ef1140de968c4f21b2987a7f",
    "query": QUESTION,
    "rewritten": None,
    "strategy": "hybrid",
    "collection": "law",
    "index": "bothways-law-v1",
    "hits": [
        {
            "rank": 1,
            "score": 0.9982,
            "chunk_id": "dae82327932debdd9b80ba901b5be3111af2b73a-0",
            "doc_id": "dae82327932debdd9b80ba901b5be3111af2b73a",
            "title": "中华人民共和国民法典 第一千一百八十八条",
            "text": "无民事行为能力人、限制民事行为能力人造成他人损害的，由监护人承担侵权责任。"
            "监护人尽到监护职责的，可以减轻其侵权责任。\n有财产的无民事行为能力人、限制民事行为能力人造成他人损害的，从本人财产中支付赔偿费用；"
            "不足部分，由监护人赔偿。",
            "source": "minfadian.txt",
            "metadata": {"law": "中华人民共和国民法典", "article": "第一千一百八十八条"},
            "highlights": [
                "有财产的无民事行为能力人、限制民事行为能力人造成他人损害的，从本人财产中支付<em>赔偿</em>费用；",
                "不足部分，由监护人<em>赔偿</em>。",
            ],
            "explain": {
                "bm25": {
                    "rank": 2,
                    "score": 46.1,
                    "words": ["小孩", "把", "人", "打伤", "家长", "要", "吗"],
                    "synonyms": {"未成年人": "小孩", "赔偿": "赔钱"},
                    "in_questions": ["小孩", "把", "打伤", "家长", "要", "吗", "未成年人"],
                    "bigrams": ["家长要赔"],
                },
                "questions": {"rank": 1, "score": 0.958, "matched": "孩子打伤同学家长要赔吗"},
                "rrf": 0.0325,
                "convex": 0.9982,
            },
            "context": {
                "before": [
                    {
                        "chunk_id": "4273b9590b583c996122857a6be1237d7f5fc38e-0",
                        "doc_id": "4273b9590b583c996122857a6be1237d7f5fc38e",
                        "position": 0,
                        "title": "中华人民共和国民法典 第一千一百八十七条",
                        "text": "损害发生后，当事人可以协商赔偿费用的支付方式。协商不一致的，赔偿…",
                    }
                ],
                "after": [
                    {
                        "chunk_id": "b0b50551c525652a2f3b3b83970490dfb67f2b08-0",
                        "doc_id": "b0b50551c525652a2f3b3b83970490dfb67f2b08",
                        "position": 0,
                        "title": "中华人民共和国民法典 第一千一百八十九条",
                        "text": "无民事行为能力人、限制民事行为能力人造成他人损害，监护人将监护职…",
                    }
                ],
            },
        }
    ],
    "timings_ms": {
        "rewrite": 0.0,
        "encode": 5.3,
        "retrieve": 61.5,
        "fuse": 1.7,
        "rerank": 0.0,
        "open": 0.1,
        "self_query": 0.1,
        "show": 20.3,
        "total": 89.1,
    },
    "degraded": [],
    "offset": 0,
    "total": 69,
    "next_offset": 1,
    "facets": {
        "law": {
            "values": [
                {"value": "中华人民共和国民法典", "count": 55},
                {"value": "中华人民共和国刑法", "count": 13},
                {"value": "中华人民共和国宪法", "count": 1},
            ],
            "others": 0,
            "missing": 0,
        }
    },
}
_HIT: dict[str, JsonValue] = SEARCH_RESULT["hits"][0]  # type: ignore[index, assignment]
_NAMED = ("chunk_id", "doc_id", "title", "source", "metadata")

QUESTIONS: list[JsonValue] = [
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

PLAIN_QUESTIONS: list[JsonValue] = [{"query": QUESTION}]

ANSWER: dict[str, JsonValue] = {
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
