"""From settings to the parts of an indexing job: the one place where the write path's parts are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

from bothways.core.analysis import load_segmenter, segment_synonyms
from bothways.core.errors import SettingsError
from bothways.core.lazy import Lazy
from bothways.core.settings import Settings
from bothways.core.synonyms import read_synonyms
from bothways.indexer.chunk.cached import CachedBreakpoints
from bothways.indexer.chunk.segmentation import SegmentationModel
from bothways.indexer.chunk.semantic import PERCENTILE, WINDOW, Breakpoints, breakpoints_by_vectors
from bothways.indexer.doc2query.expand import Writer
from bothways.indexer.doc2query.filter import Answerable, QuestionFilter, RoundTrip
from bothways.indexer.doc2query.question_writer import QuestionWriter
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.workers.shards import Questions
from bothways.models.embed.encoder import load_encoder
from bothways.models.llm.answer_cache import AnswerCache
from bothways.models.llm.language_model import load_llm
from bothways.models.llm.usage import Prices
from bothways.models.protocols import CrossEncoder, Encoder
from bothways.models.rate_limit import Pace
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.node.connect import connect


def build_parts(settings: Settings, *, writer: Writer | None) -> Parts:
    """Connect, and prepare what a job needs; the encoder is loaded when the first chunk wants it."""
    client, server = connect(settings)
    segmenter = load_segmenter(settings)
    encoder = Lazy(lambda: load_encoder(settings))
    return Parts(
        client=client,
        server=server,
        segmenter=segmenter,
        encoder=encoder,
        embedding_model=settings.embedding_model,
        writer=writer,
        synonyms=lambda: segment_synonyms(read_synonyms(settings), segmenter),
        segmentation=lambda: build_segmentation(settings, encoder),
        question_filter=build_filter(settings),
        prices=Prices(settings.llm_price_prompt, settings.llm_price_completion),
    )


@contextmanager
def open_parts(settings: Settings) -> Iterator[Parts]:
    """Yield what a job needs, by the settings alone, with the question writer; close it afterwards."""
    with parts_for_order(settings, "model") as parts:
        yield parts


@contextmanager
def parts_for_order(settings: Settings, questions: Questions) -> Iterator[Parts]:
    """Yield what a worker needs, with the question writer of its job; close it afterwards."""
    match questions:
        case "none":
            writer = None
        case "model":
            writer = build_writer(settings, None)
        case path:
            writer = build_writer(settings, Path(path))
    try:
        yield build_parts(settings, writer=writer)
    finally:
        if writer is not None:
            writer.close()


def default_job_options(settings: Settings, collection: str) -> JobOptions:
    """Return the options of a job that the settings ask for; a caller replaces some of them."""
    return JobOptions(
        collection=collection,
        chunker=settings.chunker,
        max_chars=settings.chunk_max_chars,
        max_file_mb=settings.max_file_mb,
        read_timeout_s=settings.read_timeout_s,
        read_memory_mb=settings.read_memory_mb,
        case_sections=settings.case_sections,
        concurrency=settings.llm_concurrency,
    )


def build_segmentation(settings: Settings, encoder: Callable[[], Encoder]) -> Breakpoints:
    """Choose what says where semantic chunks are cut: a model of its own, else the vectors of the collection's."""
    path = settings.cache_dir / "turns.sqlite"
    if settings.segmentation_model is not None:
        return CachedBreakpoints(Lazy(lambda: SegmentationModel(settings)), settings.segmentation_model, path)
    name = f"{settings.embedding_model} percentile={PERCENTILE:g} window={WINDOW}"
    return CachedBreakpoints(lambda: partial(breakpoints_by_vectors, encoder=encoder()), name, path)


def build_filter(settings: Settings) -> QuestionFilter | None:
    """Choose what drops questions; the cross-encoder is loaded when the first question wants it."""
    match settings.filter_questions:
        case "round-trip":
            return RoundTrip(settings.filter_top_k, num_candidates=settings.num_candidates)
        case "cross-encoder":
            if settings.reranker_model is None:
                raise SettingsError("Filtering questions by a cross-encoder needs BOTHWAYS_RERANKER_MODEL.")
            load = cast("Callable[[], CrossEncoder]", Lazy(lambda: load_cross_encoder(settings)))  # None: none is set
            return Answerable(settings.reranker_model, load, settings.filter_min_score)
        case "none":
            return None


def build_writer(settings: Settings, recorded: Path | None) -> Writer | None:
    """Choose who writes the questions: a file of recorded ones, the language model that is set, or nobody."""
    if recorded is not None:
        return RecordedQuestions(recorded)
    llm = load_llm(settings, pace=_pace(settings.llm_requests_per_minute))
    if llm is None:
        return None
    return QuestionWriter(llm, AnswerCache(settings.cache_dir / "answers.sqlite"), n=settings.questions_per_chunk)


@lru_cache(maxsize=8)
def _pace(per_minute: float | None) -> Pace:
    """Return the rate limit that all jobs of this process share."""
    return Pace(per_minute)
