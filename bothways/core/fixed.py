"""What is fixed: values that hardly anybody would set by hand, each with its reason.

`load_settings(search_queue=3)` changes them, as tests do. For other programs BOTHWAYS_FIXED has the same as a JSON
object: benchmarks set it, and `bothways eval tune` writes it. What is fixed of a search is in
bothways/schemas/options.py.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from bothways.core.datatypes import CaseSection


class Fixed(BaseModel):
    """Values that the environment cannot set."""

    es_wait_s: float = Field(1800.0, ge=0)
    """Seconds that `bothways index` waits while Elasticsearch is away: a restart of a cluster may take so long."""
    embedding_batch_size: int = Field(32, ge=1)
    """Texts that are encoded at once, as sentence-transformers has it; memory grows with it."""
    rerank_cache_size: int = Field(20_000, ge=0)
    """Scores of pairs that are kept in memory, some 200 bytes each."""
    llm_max_retries: int = Field(4, ge=0)
    """Retries with back-off on 429, 5xx and lost connections: an endpoint that fails five times is down."""
    filter_top_k: int = Field(10, ge=1, le=1000)
    """`round-trip` keeps questions that find their chunk so high, on the first page. An option of `bothways index`."""
    filter_min_score: float = 0.0
    """`cross-encoder` keeps questions from this logit on: more likely right than not. An option of `bothways index`."""
    case_sections: tuple[CaseSection, ...] = Field(("基本案情", "裁判理由"), min_length=1)
    """Sections of a case report that are indexed: the facts and the reasons, which questions are about."""
    read_timeout_s: float = Field(60.0, gt=0)
    """Seconds that a file may take until its next document or page (large files get more): what is silent for longer
    hangs."""
    read_memory_mb: float = Field(2000.0, ge=200)
    """Memory of the process that reads files: a file that needs more fails alone, and not the machine."""
    search_queue: int = Field(64, ge=0, le=10_000)
    """Searches that wait for their turn: who would stand behind them is told at once to come again."""
    ask_concurrency: int = Field(128, ge=1, le=10_000)
    """Answers at once: each only waits for the language model, which has a limit of its own."""
    ask_queue: int = Field(64, ge=0, le=10_000)
    """Questions that wait for that, as with searches."""
    ask_history_turns: int = Field(6, ge=0, le=50)
    """Questions of a conversation that are remembered: a follow-up seldom refers further back."""
    ask_history_tokens: int = Field(1000, ge=0, le=100_000)
    """Their tokens, answers included: half of what passages have by default."""
    ask_condense_deadline_ms: float = Field(3000.0, ge=1, le=60_000)
    """Milliseconds to make a follow-up a question that stands alone; then it is searched for as it is."""
    feedback_spool_mb: float = Field(64.0, gt=0)
    """Feedback on disk that waits for Elasticsearch; what is more is dropped and counted."""
    max_body_mb: float = Field(2.0, gt=0)
    """The largest body of a request that is no upload: room for a long conversation."""
