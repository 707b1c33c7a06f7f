"""Fields with odd names and too many values: what cannot be held is renamed, or left out with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from bothways.indexer.read.files.metadata import MAX_FIELDS, MAX_VALUES, to_metadata


def told(fields: dict[str, object]) -> tuple[dict[str, Any], list[str]]:
    reasons: list[str] = []
    return dict(to_metadata(fields, reasons.append)), reasons


@pytest.mark.parametrize(
    "name", ["a*", "*", "a?", "a,b", ".a.", "a..b", "_a", "a\x7fb", "a\u202eb", "a\u200b b", "a\nb"]
)
def test_patterns_levels_and_invisible_characters_leave_a_name(name: str) -> None:
    metadata, reasons = told({name: "x"})
    assert set(metadata) <= {"a", "a_b"}
    assert not reasons


@pytest.mark.parametrize("name", ["a[b]", "a>b", "a b", "%", "a{b}", "${a}", "a|b", "a/b", "a:b", "第一条"])
def test_other_signs_stay(name: str) -> None:
    assert told({name: "x"})[0] == {name.replace(" ", "_"): "x"}


def test_what_is_too_much_is_left_out_and_named() -> None:
    metadata, [reason] = told({"k" * 40_000: "x", "a": "y"})
    assert metadata == {"a": "y"}
    assert "more than 200 characters" in reason
    metadata, reasons = told({f"k{n}": "x" for n in range(MAX_FIELDS + 5)})
    assert len(metadata) == MAX_FIELDS
    assert "A record has more than 200 fields" in reasons[0]
    metadata, [reason] = told({"a": [str(n) for n in range(MAX_VALUES + 1)]})
    assert len(metadata["a"]) == MAX_VALUES
    assert "values" in reason
