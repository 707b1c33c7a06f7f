"""Examples for the OpenAPI description, from a collection of three statutes; a test holds them against the models."""

from __future__ import annotations

from pydantic import JsonValue

QUESTION = "小孩把人打伤了家长要赔钱吗"

SEARCH_EXAMPLES: list[JsonValue] = [
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

ANSWER_EXAMPLE: dict[str, JsonValue] = {
    "query_id": "5e1a9f4043e942a08e6a2fc951601f57",
    "query": QUESTION,
    "rewritten": None,
    "strategy": "hybrid",
    "collection": "law",
    "index": "bothways-law-v1",
    "hits": [
        {
            "rank": 1,
            "score": 0.0325,
            "chunk_id": "eb59f3c6b64f9219bc3917bfbf527418f822dd24-0",
            "doc_id": "eb59f3c6b64f9219bc3917bfbf527418f822dd24",
            "title": "中华人民共和国民法典 第一千零六十八条",
            "text": "父母有教育、保护未成年子女的权利和义务。未成年子女造成他人损害的，父母应当依法承担民事责任。",
            "source": "minfadian.txt",
            "metadata": {"law": "中华人民共和国民法典", "article": "第一千零六十八条"},
            "highlights": [],
            "explain": {
                "bm25": {
                    "rank": 1,
                    "score": 46.5,
                    "words": ["小孩", "打伤", "家长", "要", "吗"],
                    "synonyms": {"赔偿": "赔钱"},
                    "in_questions": ["小孩", "打伤", "家长", "要", "吗", "赔偿"],
                    "bigrams": ["家长要赔"],
                },
                "questions": {"rank": 2, "score": 0.951, "matched": "孩子打伤同学，家长要赔吗"},
                "rrf": 0.0325,
            },
            "context": {
                "before": [
                    {
                        "chunk_id": "37cf5298bb10eff3d3a68aef7abda953128f3693-0",
                        "doc_id": "37cf5298bb10eff3d3a68aef7abda953128f3693",
                        "position": 0,
                        "title": "中华人民共和国民法典 第一千零六十七条",
                        "text": "父母不履行抚养义务的，未成年子女或者不能独立生活的成年子女，有要求…",
                    }
                ],
                "after": [
                    {
                        "chunk_id": "678f638bda5a018a618f6662b96c13efa1428492-0",
                        "doc_id": "678f638bda5a018a618f6662b96c13efa1428492",
                        "position": 0,
                        "title": "中华人民共和国民法典 第一千零六十九条",
                        "text": "子女应当尊重父母的婚姻权利，不得干涉父母离婚、再婚以及婚后的生活。…",
                    }
                ],
            },
        }
    ],
    "timings_ms": {"rewrite": 0.0, "encode": 6.1, "retrieve": 22.1, "fuse": 0.6, "rerank": 0.0, "total": 57.3},
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
