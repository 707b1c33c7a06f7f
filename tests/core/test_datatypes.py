from __future__ import annotations

from dataclasses import replace

import pytest

from bothways.core.datatypes import Chunk

LEAVE = Chunk(
    chunk_id="a-0",
    doc_id="a",
    position=0,
    title="leave",
    heading="leave",
    text="员工请假应当提前三天提交申请。",
    source="docs/leave.txt",
)


def test_a_renamed_file_without_a_title_keeps_its_text_hash():
    renamed = replace(LEAVE, chunk_id="b-0", doc_id="b", title="off", heading="off", source="2025/off.txt")
    assert renamed.is_named_after_file
    assert renamed.text_hash == LEAVE.text_hash
    assert renamed.content_hash != LEAVE.content_hash


def test_a_page_in_a_section_keeps_it_too():
    section = replace(LEAVE, heading="leave › 年假")
    assert replace(section, title="off", heading="off › 年假", source="off.md").text_hash == section.text_hash
    assert replace(section, heading="leave › 病假").text_hash != section.text_hash


@pytest.mark.parametrize("change", [{"text": "员工请假。"}, {"title": "差旅", "heading": "差旅"}])
def test_another_text_or_title_is_another_hash(change):
    titled = replace(LEAVE, title="请假", heading="请假")
    assert not titled.is_named_after_file
    assert replace(titled, **change).text_hash != titled.text_hash


def test_where_it_stands_does_not_count():
    titled = replace(LEAVE, title="请假", heading="请假")
    moved = replace(titled, chunk_id="b-7", doc_id="b", position=7, source="b.txt", metadata={"page": "2"})
    assert moved.text_hash == titled.text_hash


def test_a_title_that_is_the_file_s_name_is_one_of_both_hashes():
    """请假.txt with 请假 in its first line: renamed, it has that title still, and is found by it."""
    same = replace(LEAVE, title="请假", heading="请假", source="请假.txt")
    assert same.text_hash in replace(same, source="7.txt").text_hashes


def test_without_a_heading_the_title_counts_since_questions_are_asked_with_it():
    bare = replace(LEAVE, title="请假", heading="")
    assert replace(bare, title="差旅").text_hash != bare.text_hash
