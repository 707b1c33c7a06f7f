"""Records of uploads whose files never arrived, as where a server died before they were in the queue."""

from __future__ import annotations

from functools import partial

import structlog

from bothways.indexer.jobs.store import Job, JobStore
from bothways.indexer.uploads.spool import Spool

log = structlog.get_logger()

SPOOL = "spool"
"""Where the options of an upload's record name the folder that its files are in."""


def end_orphans(store: JobStore, spool: Spool) -> None:
    """End queued uploads of this folder that have no files in it; those of other folders are other servers'.

    Safe beside servers that share the folder: a record is older than the move of its files, and is ended only if
    nobody has changed it since it was looked for. Raises `ElasticsearchError`.
    """
    for job in store.queued_uploads():
        if not _is_ours(job, spool):
            continue
        why = "The server ended before its files had arrived: upload them again."
        if job.retry_of is not None and spool.holds(job.retry_of):
            why = f"The server ended before its files were queued: retry the job {job.retry_of} again."
        if store.lose_queued(job.id, why, unless=partial(spool.holds, job.id)):
            log.warning("upload_stranded", job=job.id, collection=job.collection, reason=why)


def _is_ours(job: Job, spool: Spool) -> bool:
    named = job.options.get(SPOOL)
    return named == spool.name if named else job.holder.is_known_dead()
