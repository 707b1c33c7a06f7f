"""Distillation beside a real Elasticsearch: an encoder learns from its own search, rerankers are searched with."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from bothways.core.settings import Settings
from bothways.evaluation.judged.queries import split_of
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.learning.distill.evaluate import Models, evaluate_rerankers, evaluation_page
from bothways.learning.encoder.distill import EncoderPlan, distill_encoder
from bothways.learning.reranker.build import Sources
from bothways.learning.reranker.data.groups import Group, JudgedSet
from bothways.learning.training_arguments import EncoderArguments
from bothways.models.embed.encoder import load_encoder
from tests.fakes import make_parts
from tests.models.tiny_models import cross_encoder_folder, sentence_transformers_folder

pytestmark = pytest.mark.elasticsearch

LETTERS = "abcdefghijkl"
QUERIES = [
    (f"q{n}", " ".join(("x", *two)), frozenset({f"d{two[0]}"})) for n, two in enumerate(permutations(LETTERS, 2))
]
TRAIN = [one for one in QUERIES if split_of(one[0]) == "train"]
DEV = [one for one in QUERIES if split_of(one[0]) == "dev"]


@pytest.fixture
def settings(es_settings, tmp_path):
    base = sentence_transformers_folder(tmp_path / "base", pooling="cls", normalize=True)
    return es_settings.model_copy(
        update={"embedding_model": str(base), "cache_dir": tmp_path / "cache", "reranker_precision": "fp32"}
    )


@pytest.fixture
def indexed(es, segmenter, settings, collection, tmp_path):
    """Twelve documents of a letter each, with a question that says which."""
    docs = tmp_path / "docs"
    docs.mkdir()
    texts = {letter: f"{letter} y {letter}" for letter in LETTERS}
    rows = [{"_id": f"d{letter}", "title": "", "text": text} for letter, text in texts.items()]
    (docs / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    questions = tmp_path / "questions.jsonl"
    asked = [{"text": text, "questions": [f"x {letter}"]} for letter, text in texts.items()]
    questions.write_text("\n".join(map(json.dumps, asked)), "utf-8")
    client, server = es
    parts = make_parts(
        (client, server),
        segmenter,
        encoder=lambda: load_encoder(settings),
        embedding_model=settings.embedding_model,
        writer=RecordedQuestions(questions),
    )
    index_path(docs, JobOptions(collection=collection), parts)
    return collection


def test_an_encoder_learns_from_its_collections_search(settings: Settings, indexed, tmp_path):
    plan = EncoderPlan(
        out=tmp_path / "out",
        domain=Sources(
            collections=[],
            judged=[JudgedSet(name="beir", collection=indexed, queries=TRAIN)],
            keep_out=[text for _, text, _ in DEV],
        ),
        general=Sources(collections=[indexed], judged=(), keep_out=[text for _, text, _ in DEV]),
        arguments=EncoderArguments(
            base=settings.embedding_model,
            epochs=12,
            batch_size=12,
            learning_rate=3e-3,
            temperature=0.05,
            general_share=0.1,
            max_loss=1.0,
            max_length=32,
        ),
        judged=([JudgedSet(name="beir", collection=indexed, queries=DEV)], []),
        command="bothways learn distill-encoder",
    )
    said: list[str] = []
    report = distill_encoder(settings, plan, say=said.append)
    [before], [after] = report["before"]["domain"], report["after"]["domain"]
    assert before["queries"] == len({text for _, text, _ in DEV})
    assert before["texts"] == 12
    assert after["ndcg@10"] > before["ndcg@10"] + 0.1, report["interpolation"]
    assert report["interpolation"]["share"] > 0
    learnt = [json.loads(line) for line in (tmp_path / "out/distillation/domain.jsonl").read_text().splitlines()]
    dev = {text for _, text, _ in DEV}
    assert learnt
    assert not dev & {row["query"] for row in learnt}, "what it is judged by is not learnt"
    assert (tmp_path / "out" / "onnx" / "model.onnx").is_file()
    served = settings.model_copy(update={"embedding_model": str(tmp_path / "out")})
    assert load_encoder(served).encode_documents(["x a"]).shape == (1, 32)
    assert "| share | domain nDCG@10 |" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_student_and_teacher_are_searched_with(settings, indexed, tmp_path):
    student, teacher = (cross_encoder_folder(tmp_path / name) for name in ("student", "teacher"))
    groups = [
        Group(
            key="k",
            query="x a",
            positive="a y a",
            negatives=("b y b", "c y c"),
            source="made up",
            part="dev",
            scores=(3.0, 1.0, 2.0),
        )
    ]
    models = Models(
        student=str(student),
        teacher=str(teacher),
        serves=True,
        untrained={"map": 0.5, "mrr@10": 0.5, "ndcg@10": 0.5},
        teacher_ms=9.0,
    )
    report = evaluate_rerankers(settings, models, groups, [JudgedSet(name="beir", collection=indexed, queries=DEV)])
    assert report["groups"]["teacher"] == {"map": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0}
    assert report["teacher_timed"] == "as it is served"
    [searched] = report["searches"]
    rows = searched["measures"]
    assert rows["student"] == rows["teacher"], "the same weights"
    assert rows["first stage"] != rows["teacher"]
    assert searched["gains"]["student"]["ndcg@10"] == pytest.approx(
        rows["student"]["ndcg@10"] - rows["first stage"]["ndcg@10"], abs=1e-4
    )
    assert "| first stage |" in evaluation_page(report)
