"""From settings to the parts of an indexing job: the one place where the write path's parts are chosen."""

from __future__ import annotations

from pathlib import Path

from core.analysis import load_segmenter, segment_synonyms
from core.answer_cache import AnswerCache
from core.elastic import connect
from core.models.encoder import load_encoder
from core.once import Once
from core.settings import Settings
from core.synonyms import read_synonyms
from indexer.expand import QuestionWriter, RecordedQuestions, Writer
from indexer.parts import Parts


def build_parts(settings: Settings, *, writer: Writer | None) -> Parts:
    """Connect, and prepare what a job needs; the encoder is loaded when the first chunk wants it."""
    client, server = connect(settings)
    segmenter = load_segmenter(settings)
    return Parts(
        client=client,
        server=server,
        segmenter=segmenter,
        encoder=Once(lambda: load_encoder(settings)),
        embedding_model=settings.embedding_model,
        writer=writer,
        synonyms=lambda: segment_synonyms(read_synonyms(settings), segmenter),
    )


def build_writer(settings: Settings, recorded: Path | None) -> Writer | None:
    """Choose who writes the questions: a file of recorded ones, the language model that is set, or nobody."""
    if recorded is not None:
        return RecordedQuestions(recorded)
    if not settings.llm_base_url and not settings.llm_local_model:
        return None
    from core.models.llm import load_llm  # half a second, paid only where there is a language model

    llm = load_llm(settings)
    if llm is None:
        return None
    return QuestionWriter(llm, AnswerCache(settings.cache_dir / "answers.sqlite"), n=settings.questions_per_chunk)
