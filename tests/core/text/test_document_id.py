from __future__ import annotations

import hashlib

import pytest

from bothways.core.text.document_id import MOST_PAGES, Place, document_id, find_place

NAMES = ["law/minfadian.txt", '引"号 \\ 与 é.txt']


def test_the_id_is_a_sha_1_of_file_page_and_record():
    assert document_id("a.txt", record=3) == hashlib.sha1(b'["a.txt", null, 3]').hexdigest()
    assert document_id("a.txt") == hashlib.sha1(b'["a.txt", null, null]').hexdigest()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "place", [Place(record=0), Place(record=1259), Place(page=1), Place(page=MOST_PAGES), Place(3, 17)]
)
def test_an_id_leads_back_to_its_place(name, place):
    assert find_place(document_id(name, place.page, place.record), name) == place


@pytest.mark.parametrize("doc_id", ["leave", "", "a" * 40, document_id("other.txt", record=0), document_id("a.txt")])
def test_other_ids_have_no_place(doc_id):
    assert find_place(doc_id, "a.txt") is None


def test_beyond_what_is_looked_for_there_is_no_place():
    assert find_place(document_id("a.txt", record=MOST_PAGES), "a.txt") is None


def test_the_places_beside():
    assert Place(record=1).moved(-1) == Place(record=0)
    assert Place(record=0).moved(-1) is None
    assert Place(page=1).moved(-1) is None
    assert Place(page=1).moved(2) == Place(page=3)
    assert Place(2, 5).moved(1) == Place(2, 6)
    assert Place().moved(1) is None
