"""A collection as pairs of chunk and questions, streamed from the index in the words that BM25 has of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.elastic.client import elasticsearch_errors

_PAGE = 500
_WORDS = ["text_kw", "questions.text_kw"]
_TEXTS = ["title", "text", "questions.text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One chunk and its questions: `words` of the chunk's own text, and each question as (text, words).

    `title`, `text` and the questions' texts are empty where only words were asked for.
    """

    words: frozenset[str]
    questions: tuple[tuple[str, frozenset[str]], ...]
    title: str = ""
    text: str = ""

    @property
    def unmet(self) -> frozenset[str]:
        """Words that the questions use and the text does not."""
        return frozenset[str]().union(*(words for _, words in self.questions)) - self.words


def read_pairs(client: Elasticsearch, index: str, *, texts: bool = False) -> Iterator[Pair]:
    """Stream the chunks of an index that have questions, a page at a time; `texts` brings what people read too."""
    having = {"nested": {"path": "questions", "query": {"exists": {"field": "questions.text_kw"}}}}
    body = {"query": having, "_source": _WORDS + (_TEXTS if texts else [])}
    with elasticsearch_errors("reading chunks and their questions"):
        for hit in scan(client, index=index, query=body, size=_PAGE):
            source = hit["_source"]
            questions = tuple(
                (str(question.get("text", "")), frozenset(question["text_kw"].split()))
                for question in source.get("questions", ())
            )
            words = frozenset(source["text_kw"].split())
            yield Pair(words=words, questions=questions, title=source.get("title", ""), text=source.get("text", ""))
