"""What a version of a collection is, as its `_meta` says.

Each step writes the state there. Neither the number of a version nor the alias alone decides anything: an alias can be
lost, and a snapshot can restore versions in another order. Versions of a Bothways that wrote no states have the state
None: they are searched and written as before, and no rebuild deletes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

State = Literal["building", "candidate", "live", "previous", "rolled back", "failed its check"]
"""`building` and `candidate`: it never served a search. `live`: searches go to it, and to `previous` they went before.
`rolled back`: searches were taken back from it. `failed its check`: it was built and never used."""

STATE, SINCE = "state", "state_since"
"""Where `_meta` keeps the state and when it was reached (ISO 8601, UTC)."""


def now() -> str:
    """Return the time as `_meta` has it: ISO 8601 in UTC, to the millisecond, so that texts sort by time."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def as_state(state: State) -> dict[str, str]:
    """Return what `_meta` says of a version that reaches a state now."""
    return {STATE: state, SINCE: now()}


def state_of(meta: Mapping[str, Any]) -> State | None:
    """Return the state that a version's `_meta` names; None if an older Bothways wrote none.

    Two facts that older ones did write are used: that a check failed, and that the version was rolled back.
    """
    if meta.get("failed_check"):
        return "failed its check"
    if meta.get("rolled_back_at"):
        return "rolled back"
    return next((state for state in get_args(State) if state == meta.get(STATE)), None)


def since(meta: Mapping[str, Any]) -> str:
    """Return when a version reached its state; "" if it is not known."""
    return str(meta.get(SINCE) or "")
