"""The panels of the dashboard, each with the question that it answers."""

from __future__ import annotations

from bothways.kibana.columns import (
    average,
    by_number,
    count,
    difference,
    over_time,
    percentile,
    share,
    top,
    total,
    unique_count,
)
from bothways.kibana.data_views import CHUNKS, FEEDBACK, JOBS
from bothways.kibana.lens import Lens, chart, metric, table

SEARCHES = 'kind : "query" and query_attributes.offset : 0'
"""Searches; further pages of the same search are not counted."""
ANSWERED = f"{SEARCHES} and query_response_hit_ids : *"
EMPTY = f"{SEARCHES} and not query_response_hit_ids : *"
TAKEN = 'action_name : "click" or action_name : "up"'
"""Actions that show that a hit was useful."""
WITHOUT_QUESTIONS = "not questions:{ generation : * }"
"""Of nested documents, which Lens cannot aggregate but KQL can ask for; true of chunks of any age."""
FAILED = 'state : "failed" or state : "lost"'
STAGES = ("rewrite", "encode", "retrieve", "fuse", "rerank")
QUESTIONS = 100
"""Questions that a table has at most."""


def _ms(stage: str) -> str:
    return f"query_attributes.timings_ms.{stage}"


searches = metric("Searches", "First pages of answers", FEEDBACK, count("searches", "Searches", kql=SEARCHES))

empty_share = metric(
    "Searches that found nothing",
    "Share of searches without a single hit",
    FEEDBACK,
    share("share", "found nothing", count("empty", "", kql=EMPTY), count("all", "", kql=SEARCHES)),
)

clicked_share = metric(
    "Searches with a click",
    "Share of the searches with hits after which one was opened or voted up; send clicks to POST /api/v1/feedback",
    FEEDBACK,
    share("share", "with a click", unique_count("taken", "", "query_id", kql=TAKEN), count("all", "", kql=ANSWERED)),
)

latency = metric(
    "Latency, 95th percentile",
    "Milliseconds in which 95 of 100 searches were answered",
    FEEDBACK,
    percentile("p95", "p95", _ms("total"), 95, kql='kind : "query"'),
)

chunks_without = metric(
    "Chunks without questions",
    "Chunks to which no pseudo-question was written, of all versions that are kept",
    CHUNKS,
    count("without", "without questions", kql=WITHOUT_QUESTIONS),
)

failed_jobs = metric(
    "Jobs that failed", "Indexing jobs that failed or were lost", JOBS, count("failed", "failed or lost", kql=FAILED)
)

searches_over_time = chart(
    "Searches over time",
    "All, and those that found nothing",
    FEEDBACK,
    over_time("time", "timestamp"),
    [count("all", "Searches", kql=SEARCHES), count("empty", "Found nothing", kql=EMPTY)],
    series="line",
)

degraded = chart(
    "Degraded searches",
    "Searches in which a stage was skipped or out of time, by stage",
    FEEDBACK,
    over_time("time", "timestamp"),
    [count("searches", "Searches")],
    series="bar_stacked",
    split=top("stage", "Stage", "query_attributes.degraded", by="searches", size=10),
    kql='kind : "query" and query_attributes.degraded : *',
)

_all = count("all", "Searches", kql=ANSWERED)
_unclicked = difference(
    "without",
    "Without a click",
    count("answered", "", kql=ANSWERED),
    unique_count("taken", "", "query_id", kql=TAKEN),
)
unclicked_questions = table(
    "Questions without clicks",
    "Questions with hits that nobody opened: wrong hits, or titles that say enough",
    FEEDBACK,
    top("question", "Question", "user_query.keyword", by="all", size=QUESTIONS),
    [_all, unique_count("clicked", "With a click", "query_id", kql=TAKEN), _unclicked],
    sort=_unclicked,
)

_empty = count("searches", "Searches")
empty_questions = table(
    "Questions that found nothing",
    "What users look for: the collections lack it, or filters and min_score remove it",
    FEEDBACK,
    top("question", "Question", "user_query.keyword", by="searches", size=QUESTIONS),
    [_empty],
    sort=_empty,
    kql=EMPTY,
)

latency_over_time = chart(
    "Latency of searches",
    "Percentiles of the whole search, in milliseconds",
    FEEDBACK,
    over_time("time", "timestamp"),
    [percentile(f"p{percent}", f"p{percent}", _ms("total"), percent) for percent in (50, 95, 99)],
    series="line",
    kql='kind : "query"',
)

latency_by_stage = chart(
    "Latency by stage, 95th percentile",
    "Where the time goes, in milliseconds",
    FEEDBACK,
    over_time("time", "timestamp"),
    [percentile(stage, stage, _ms(stage), 95) for stage in STAGES],
    series="line",
    kql='kind : "query"',
)

feedback_by_rank = chart(
    "Feedback by rank",
    "What users did with the hit at each rank; many votes down at rank 1 speak against the order",
    FEEDBACK,
    by_number("rank", "Rank", "event_attributes.position.ordinal", size=30),
    [count("events", "Events")],
    series="bar_stacked",
    split=top("action", "Action", "action_name", by="events", size=10),
    kql='kind : "event"',
)

questions_a_chunk = chart(
    "Questions a chunk",
    "How many chunks have how many pseudo-questions (chunks written before these were counted are left out)",
    CHUNKS,
    by_number("questions", "Questions", "question_count", size=50),
    [count("chunks", "Chunks")],
    series="bar",
)

_chunks = count("chunks", "Chunks")
collections = table(
    "Collections",
    "Chunks of each version, and their questions",
    CHUNKS,
    top("version", "Version", "_index", by="chunks", size=QUESTIONS),
    [
        _chunks,
        average("average", "Questions a chunk", "question_count"),
        count("without", "Without questions", kql=WITHOUT_QUESTIONS),
        share("share", "Share without", count("bare", "", kql=WITHOUT_QUESTIONS), count("every", "")),
    ],
    sort=_chunks,
)

jobs_over_time = chart(
    "Jobs by state",
    "Indexing jobs by the time they were created",
    JOBS,
    over_time("time", "created"),
    [count("jobs", "Jobs")],
    series="bar_stacked",
    split=top("state", "State", "state", by="jobs", size=10),
)

_items = total("items", "Failed items", "counts.failures")
job_errors = table(
    "Job errors by collection",
    "Jobs that did not succeed, and the items that failed in any job; the list below has the reasons",
    JOBS,
    top("collection", "Collection", "collection", by="jobs", size=QUESTIONS),
    [count("jobs", "Jobs"), count("failed", "Failed or lost", kql=FAILED), _items],
    sort=_items,
)

ROWS: tuple[tuple[int, tuple[Lens, ...]], ...] = (
    (6, (searches, empty_share, clicked_share, latency, chunks_without, failed_jobs)),
    (11, (searches_over_time, degraded)),
    (14, (unclicked_questions, empty_questions)),
    (11, (latency_over_time, latency_by_stage)),
    (12, (feedback_by_rank, questions_a_chunk, collections)),
    (11, (jobs_over_time, job_errors)),
)
"""The rows of the dashboard from the top: the height of each, and its panels, which share its width."""
