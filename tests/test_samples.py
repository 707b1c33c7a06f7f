"""The sample knowledge base fits together: sections, recorded questions, judged questions and the PDF."""

import json
from collections import Counter
from difflib import SequenceMatcher
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pymupdf
import pytest

from bothways.indexer.chunk import chunk
from bothways.indexer.doc2query.parse_questions import clean_questions
from bothways.indexer.read import read

HANDBOOK = Path(__file__).parents[1] / "samples" / "handbook"
DOCS = HANDBOOK / "docs"
PLAIN = {"source", "title", "doc_id"}


def rows(name):
    return [json.loads(line) for line in (HANDBOOK / name).read_text(encoding="utf-8").splitlines()]


def squeezed(text):
    return "".join(text.split())


def bare(question):
    """The question without what does not change it: case, white space, punctuation."""
    return "".join(filter(str.isalnum, question.casefold()))


@pytest.fixture(scope="module")
def chunks():
    left_out = []
    documents = read(DOCS, max_file_mb=1, on_failure=left_out.append, on_skip=lambda *what: left_out.append(what))
    found = list(chunk(documents, max_chars=300))
    assert left_out == []
    return found


@pytest.fixture(scope="module")
def recorded():
    return rows("pseudo_questions.jsonl")


@pytest.fixture(scope="module")
def queries():
    return rows("queries.jsonl")


def test_the_folder_holds_what_its_readme_says():
    kinds = Counter(path.suffix for path in DOCS.rglob("*") if path.is_file())
    assert kinds == {".md": 30, ".txt": 8, ".html": 5, ".pdf": 1}


def test_each_section_is_one_chunk(chunks):
    assert len(chunks) == 117
    assert {piece.position for piece in chunks} == {0}
    assert [piece.text for piece in chunks if not 80 <= len(piece.text) <= 280] == []


def test_each_chunk_has_its_recorded_questions_and_nothing_else_is_recorded(chunks, recorded):
    assert sorted(squeezed(row["text"]) for row in recorded) == sorted(squeezed(piece.text) for piece in chunks)


def test_recorded_questions_are_five_distinct_ones_that_the_indexer_would_keep(recorded):
    for row in recorded:
        assert clean_questions(row["questions"], n=6, text=row["text"]) == row["questions"]
        assert len({bare(question) for question in row["questions"]}) == 5


def test_no_question_is_recorded_for_two_sections(recorded):
    counts = Counter(bare(question) for row in recorded for question in row["questions"])
    assert [question for question, count in counts.items() if count > 1] == []


def test_judged_questions_are_half_colloquial_half_formal(queries):
    assert Counter(row["tag"] for row in queries) == {"colloquial": 20, "formal": 20}
    assert len({bare(row["query"]) for row in queries}) == 40
    english = [row["query"] for row in queries if row["query"].isascii()]
    assert len(english) == 4


def test_the_gold_of_each_judged_question_is_exactly_one_section(chunks, queries):
    def matches(gold, piece):
        return all((getattr(piece, k) if k in PLAIN else piece.metadata.get(k)) == v for k, v in gold.items())

    found = {row["query"]: sum(matches(row["gold"], piece) for piece in chunks) for row in queries}
    assert {query: count for query, count in found.items() if count != 1} == {}


def test_judged_questions_ask_for_different_sections(queries):
    assert len({json.dumps(row["gold"], sort_keys=True) for row in queries}) == 40


def test_no_judged_question_is_an_indexed_one_or_a_near_copy(recorded, queries):
    indexed = [bare(question) for row in recorded for question in row["questions"]]
    copies = [
        (row["query"], other)
        for row in queries
        for other in indexed
        if SequenceMatcher(None, bare(row["query"]), other, autojunk=False).ratio() > 0.6
    ]
    assert copies == []


def test_the_pdf_is_what_its_script_makes(tmp_path):
    spec = spec_from_file_location("make_pdf", HANDBOOK / "make_pdf.py")
    make_pdf = module_from_spec(spec)
    spec.loader.exec_module(make_pdf)
    made = tmp_path / "made.pdf"
    make_pdf.write(made)
    assert text_of(make_pdf.PDF) == text_of(made)
    assert len(text_of(made)) == 3
    assert make_pdf.PDF.stat().st_size < 300_000


def text_of(path):
    with pymupdf.open(path) as pdf:
        return [squeezed(page.get_text()) for page in pdf]
