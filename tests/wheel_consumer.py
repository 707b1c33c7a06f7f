"""A small program that uses the client, as other people write them: tests/test_wheel.py has mypy check it strictly."""

from __future__ import annotations

from typing import assert_type

from bothways import AsyncClient, Client
from bothways.client.errors import BothwaysError


def titles(question: str) -> list[str]:
    with Client("http://127.0.0.1:8000", api_key="key") as client:
        found = client.search(question, "law", top_k=3, strategy="hybrid", filters={"law": "民法典"})
        assert_type(found.total, int)
        assert_type(found.hits[0].score, float)
        for hit in found.hits:
            client.feedback(found.query_id, hit.chunk_id, "click")
        return [hit.title for hit in found.hits]


async def answer(question: str) -> str | None:
    async with AsyncClient() as client:
        try:
            found = await client.ask(question, "law", history=[{"role": "user", "content": "…"}])
        except BothwaysError as error:
            return str(error)
        assert_type(found.answer, str | None)
        return found.answer
