"""The data views: which indices each takes, and what its fields are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bothways.kibana.saved_objects import SavedObject, packed


@dataclass(frozen=True, slots=True, kw_only=True)
class DataView:
    """Indices that are looked at together. `mapping` is their file in es_mappings.

    `hidden` fields are left out of documents that are shown: vectors are long, and say nothing to a reader.
    """

    id: str
    name: str
    pattern: str
    mapping: str
    time_field: str | None = None
    labels: Mapping[str, str] | None = None
    hidden: Sequence[str] = ()

    def saved(self) -> SavedObject:
        """Return the view as a saved object; it can be imported before it has an index."""
        labels = {field: {"customLabel": label} for field, label in (self.labels or {}).items()}
        attributes = {
            "allowNoIndex": True,
            "fieldAttrs": packed(labels),
            "fieldFormatMap": "{}",
            "fields": "[]",
            "name": self.name,
            "runtimeFieldMap": "{}",
            "sourceFilters": packed([{"value": field} for field in self.hidden]),
            "title": self.pattern,
            "typeMeta": "{}",
        }
        if self.time_field is not None:
            attributes["timeFieldName"] = self.time_field
        return SavedObject(type="index-pattern", id=self.id, attributes=attributes)


CHUNKS = DataView(
    id="bothways-chunks",
    name="Bothways chunks",
    # Versions, and no aliases: `bothways-*` would bring jobs, leases and feedback as well. A version that was rebuilt
    # stays for rolling back, so numbers are shown by version.
    pattern="bothways-*-v*",
    mapping="chunks.json",
    labels={"question_count": "Questions a chunk"},
    hidden=("text_sem", "questions.text_sem"),
)
FEEDBACK = DataView(
    id="bothways-feedback",
    name="Bothways searches and clicks",
    pattern="bothways-feedback-*.*",
    mapping="feedback.json",
    time_field="timestamp",
    labels={
        "application": "Collection",
        "user_query.keyword": "Question",
        "event_attributes.position.ordinal": "Rank",
        "action_name": "Action",
    },
)
JOBS = DataView(
    id="bothways-jobs",
    name="Bothways indexing jobs",
    pattern="bothways-jobs",
    mapping="jobs.json",
    time_field="created",
    labels={"collection": "Collection", "state": "State"},
)
DATA_VIEWS = (CHUNKS, FEEDBACK, JOBS)
