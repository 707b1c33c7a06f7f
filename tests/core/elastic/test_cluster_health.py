"""Sentences on what is not well, from answers that Elasticsearch 9.4 gave."""

import pytest

from bothways.core.elastic.cluster_health import block_reasons, disk_reasons, red_reason


def stats(free):
    disk = {
        "path": "/data",
        "available_in_bytes": free,
        "high_watermark_free_space_in_bytes": 1100 << 20,
        "flood_stage_free_space_in_bytes": 1 << 30,
    }
    return {"nodes": {"n": {"fs": {"data": [disk]}}}}


def test_a_full_disk_says_what_it_refuses_and_what_to_do():
    [told] = disk_reasons(stats(733_523_968))
    assert told == (
        "The disk of Elasticsearch's data (/data) has 0.7 GB free; with less than 1.0 GB it only reads and deletes. "
        "Make room there: it writes again by itself, within a minute, once 1.1 GB are free."
    )


def test_a_nearly_full_disk_takes_no_new_index():
    [told] = disk_reasons(stats(1_111_490_560))
    assert "no new index can be used" in told


def test_room_is_no_reason():
    assert not list(disk_reasons(stats(100 << 30)))
    assert not list(disk_reasons({"nodes": {"n": {"fs": {"data": [{"path": "/d", "available_in_bytes": 5}]}}}}))


def test_blocks_are_told_with_their_indexes():
    full, ours = "index.blocks.read_only_allow_delete", "index.blocks.write"
    settings = {f"i{number}": {"settings": {full: "true"}} for number in range(7)}
    settings["w"] = {"settings": {ours: "true", full: "false"}}
    first, second = block_reasons(settings, disk_is_full=True)
    assert first.startswith("Not written to because the disk is full: i0, i1, i2, i3, i4 and 2 more;")
    assert second.startswith("Not written to because `index.blocks.write` was set: w;")


NODE = {"deciders": [{"decider": "disk_threshold", "decision": "NO", "explanation": "above the high watermark"}]}
FILTER = {"deciders": [{"decider": "filter", "decision": "NO", "explanation": "node does not match [x]"}]}
RETRY = {"deciders": [{"decider": "max_retry", "decision": "NO", "explanation": "shard has exceeded"}]}
DAMAGED = {"store": {"store_exception": {"type": "corrupt_index_exception", "reason": "codec footer mismatch"}}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"can_allocate": "no", "node_allocation_decisions": [NODE]}, "the disk has no room for it. Make room"),
        ({"can_allocate": "no", "node_allocation_decisions": [FILTER]}, "node does not match [x]."),
        (
            {"node_allocation_decisions": [RETRY], "unassigned_info": {"details": "No space left on device"}},
            "could not be opened several times (No space left on device); make room",
        ),
        (
            {"can_allocate": "no_valid_shard_copy", "node_allocation_decisions": [DAMAGED]},
            "is missing or damaged (codec footer mismatch). Restore a snapshot",
        ),
        ({"can_allocate": "no_valid_shard_copy"}, "is missing or damaged. Restore a snapshot"),
        ({}, "no reason is given."),
    ],
)
def test_a_red_index_says_why(told, expected):
    sentence = red_reason("law-v1", told)
    assert sentence.startswith("law-v1 is red, so it cannot be searched: ")
    assert expected in sentence
