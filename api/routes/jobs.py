"""`/api/v1/jobs`: indexing runs, of the command line and of uploads: listed, watched, cancelled, retried."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from bothways.api.deps import KeyedRoute, RegistryDep, UploadsDep
from bothways.api.http.bounds import JobPath
from bothways.schemas.jobs import Job, JobList
from bothways.schemas.names import JobState

router = APIRouter(tags=["jobs"], route_class=KeyedRoute)

QUEUED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The job is queued",
        "headers": {
            "Location": {
                "description": "its address",
                "required": True,
                "schema": {"type": "string", "pattern": "^/api/v1/jobs/.+"},
            }
        },
    }
}
"""How operations answer that queue a job."""


@router.get("/jobs")
def list_jobs(
    registry: RegistryDep,
    collection: Annotated[str | None, Query(description="only jobs on this collection")] = None,
    state: Annotated[JobState | None, Query(description="only jobs in this state")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    offset: Annotated[int, Query(ge=0, le=9000)] = 0,
) -> JobList:
    """List jobs, newest first."""
    jobs, total = registry.store.find(collection=collection, state=state, size=limit, skip=offset)
    return JobList(total=total, jobs=[Job.model_validate(job) for job in jobs])


@router.get("/jobs/{job_id}")
def get_job(job_id: JobPath, registry: RegistryDep) -> Job:
    """Return the state of a job."""
    return Job.model_validate(registry.store.get(job_id))


@router.delete("/jobs/{job_id}", status_code=202, name="cancel_job")
def cancel(job_id: JobPath, registry: RegistryDep, uploads: UploadsDep) -> Job:
    """Cancel a job: one that waits at once, one that runs within seconds; what it has indexed stays."""
    job = registry.store.cancel(job_id)
    uploads.cancel(job_id)
    return Job.model_validate(job)


@router.post("/jobs/{job_id}/retry", status_code=202, responses=QUEUED, name="retry_job")
def retry(job_id: JobPath, registry: RegistryDep, uploads: UploadsDep, response: Response) -> Job:
    """Queue an upload that did not succeed once more, as a new job."""
    job = uploads.retry(registry.store.get(job_id))
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return Job.model_validate(job)
