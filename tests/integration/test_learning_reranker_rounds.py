"""The step of the reranker: when it is left out, and a whole one on tiny models."""

from __future__ import annotations

import pytest

from bothways.core.collections.collection import open_collection
from bothways.core.errors import MissingExtraError
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.learning.feedback.store import FeedbackStore
from bothways.learning.reranker.data.build import MiningOptions
from bothways.learning.weekly.gate import PATIENCE_MS, Demands
from bothways.learning.weekly.history import INDEX
from bothways.learning.weekly.parts import RunLimits, RunOptions
from bothways.learning.weekly.promotion import roll_back
from bothways.learning.weekly.run import learn_round
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.search.build import with_reranker
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from tests.integration.learning_from_users import TEXTS, searches, write_corpus
from tests.integration.test_learning_rounds import ASKED, HELD
from tests.models.tiny_models import cross_encoder_folder

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def live(es, build, collection, tmp_path):
    docs, recorded = write_corpus(tmp_path)
    build(docs, writer=RecordedQuestions(recorded))
    rows = [*searches(collection, ASKED, "leave"), *searches(collection, HELD[0], "pay", low=False)]
    assert FeedbackStore(es[0]).write(rows) == []
    es[0].indices.refresh(index="bothways-feedback-*.*")
    yield collection
    es[0].options(ignore_status=404).delete_by_query(
        index=INDEX, query={"term": {"collection": collection}}, conflicts="proceed", refresh=True
    )


@pytest.fixture
def learn(es, live, segmenter, encoder, es_settings, tmp_path):
    def run(strategy="hybrid_rerank", min_positives=1, regression=5, **settings):
        settings = {"embedding_model": "fake/hash", **settings}
        chosen = es_settings.model_copy(update=settings)
        run.searcher = Searcher(
            es[0],
            segmenter,
            lambda: encoder,
            embedding_model="fake/hash",
            cross_encoder=lambda: load_cross_encoder(chosen),
            learnt_cross_encoder=lambda folder: load_cross_encoder(with_reranker(chosen, folder)),
        )
        frozen = [
            JudgedQuery(query_id=f"r{n}", text=text[2:9], relevant={name: 1})
            for n, (name, text) in enumerate(TEXTS.items())
        ]
        options = RunOptions(
            # What so small a model learns from a dozen questions depends on the collection's name, by which parts are
            # drawn; with alpha 0 it is served without a say, so the gate finds no difference.
            search=SearchOptions(strategy=strategy, self_query=False, rerank_alpha=0.0),
            steps=["reranker"],
            regression=frozen,
            demands=Demands(margin=1.0, margin_held_out=1.0, min_held_out=1, min_regression=regression),
            limits=RunLimits(min_positives=min_positives),
        )
        return learn_round(chosen, run.searcher, es[1], live, options, tmp_path / "out", llm=None)["steps"][0]

    return run


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({}, "no reranker is in use"),
        ({"strategy": "hybrid"}, "hybrid, does not rerank"),
        ({"reranker_model": "some/model", "min_positives": 100}, "1 questions have a certain answer, 100 are needed"),
        ({"reranker_url": "http://127.0.0.1:9/rerank", "reranker_model": "m"}, "is behind an address"),
    ],
)
def test_when_it_is_left_out(learn, other, told):
    step = learn(**other)
    assert step["state"] == "skipped"
    assert told in step["reason"]


def test_without_the_extra(learn, tmp_path, monkeypatch):
    def missing():
        raise MissingExtraError('To train a reranker needs: pip install "bothways[train]".')

    monkeypatch.setattr("bothways.learning.reranker.build.check_extra", missing)
    step = learn(reranker_model=str(cross_encoder_folder(tmp_path / "base")), model_backend="torch")
    assert (step["state"], "bothways[train]" in step["reason"]) == ("skipped", True)


def test_one_is_trained_on_measured_served_and_taken_back(es, live, learn, tmp_path, monkeypatch):
    # A dozen questions instead of hundreds: all are drawn, and half of the answers are measured.
    monkeypatch.setattr("bothways.learning.weekly.reranker.MiningOptions", lambda **_: MiningOptions(dev_share=0.5))
    base = cross_encoder_folder(tmp_path / "base")
    chosen = {"reranker_model": str(base), "model_backend": "torch", "reranker_precision": "fp32"}
    step = learn(**chosen)
    assert step["state"] == "promoted", step["reason"]
    assert open_collection(es[0], live).reranker == step["folder"]
    assert [one["name"] for one in step["gate"]["sets"]] == ["held-out judgments", "regression set"]
    # A running server reranks by it, as soon as it looks at the collection again.
    learn.searcher.versions.forget(live)
    result = learn.searcher.search("请假", live, SearchOptions(self_query=False, rerank_budget_ms=PATIENCE_MS))
    assert result.degraded == []
    assert learn.searcher.rerankers.of(open_collection(es[0], live))().name == step["folder"]
    done = roll_back(es[0], live)
    assert (done.reranker_before, done.reranker) == (step["folder"], "")
    refused = learn(**chosen, regression=9)
    assert refused["state"] == "refused"
    assert open_collection(es[0], live).reranker == ""
