"""From settings to mined synonyms: the one place where the parts of mining are chosen."""

from __future__ import annotations

from functools import partial
from importlib.resources import as_file, files

from elasticsearch import Elasticsearch

from bothways.core.analysis import load_segmenter, read_stopwords
from bothways.core.collections.collection import open_collection
from bothways.core.errors import SynonymsError, UsageError
from bothways.core.settings import Settings
from bothways.core.synonyms import Rule, read_synonyms, split_rules
from bothways.indexer.synonyms import find_sources
from bothways.learning.synonyms.association import AssociationThresholds
from bothways.learning.synonyms.judge import Judge
from bothways.learning.synonyms.mine import Mined, Progress, mine
from bothways.learning.synonyms.pairs import read_pairs
from bothways.models.llm.answer_cache import AnswerCache
from bothways.models.llm.language_model import load_llm
from bothways.node.connect import connect


def mine_synonyms(
    settings: Settings,
    collection: str,
    thresholds: AssociationThresholds,
    *,
    at_most: int = 300,
    check: bool = True,
    progress: Progress = lambda _: None,
) -> Mined:
    """Mine a collection's synonyms, with the language model that is set unless `check` is False.

    Raises `UsageError` for a collection without questions: there is nothing to learn from.
    """
    client, _ = connect(settings)
    opened = open_collection(client, collection)
    segmenter = load_segmenter(settings)
    opened.require(embedding_model=opened.embedding_model, analyzer=segmenter.name)
    pairs = partial(read_pairs, client, opened.index)
    if next(iter(pairs()), None) is None:
        raise UsageError(
            f"The collection {collection!r} has no questions to learn from: index it with a language model "
            "(BOTHWAYS_LLM_BASE_URL) or with --questions FILE."
        )
    judge = build_judge(settings) if check else None
    try:
        return mine(
            lambda texts: pairs(texts=texts),
            segmenter,
            thresholds,
            known=known_rules(client, settings, collection),
            stopwords=segmenter.stopwords | packaged_stopwords(),
            at_most=at_most,
            judge=judge,
            progress=progress,
        )
    finally:
        if judge is not None:
            judge.close()


def build_judge(settings: Settings) -> Judge | None:
    """Return a judge where a language model is set, else None."""
    llm = load_llm(settings)
    if llm is None:
        return None
    return Judge(llm, AnswerCache(settings.cache_dir / "answers.sqlite"), concurrency=settings.llm_concurrency)


def known_rules(client: Elasticsearch, settings: Settings, collection: str) -> list[Rule]:
    """Return the rules that a collection searches with; where its server's file is out of reach, those that are set."""
    try:
        texts = [place.read() or "" for place in find_sources(client, settings, collection)]
    except SynonymsError:
        texts = [read_synonyms(settings)]
    return [rule for text in texts for rule in split_rules(text)]


def packaged_stopwords() -> frozenset[str]:
    """Return the stop words that come with the package: no synonyms, whatever they are associated with."""
    with as_file(files("bothways.es_mappings").joinpath("stopwords.txt")) as path:
        return read_stopwords(path)
