"""What the distillations are told on the command line, and what they refuse before anything is loaded."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bothways.cli.main import app
from bothways.cli.verbs import learn_distill, learn_distill_encoder
from bothways.cli.verbs.learn_distill import one_of, read_steps
from bothways.core.errors import UsageError
from bothways.learning.distill.reranker import STEPS
from tests.cli.verbs.test_learn_sources import beir  # noqa: F401 - a fixture


def test_steps_in_any_order():
    assert read_steps("logits, train") == ["logits", "train"]
    assert read_steps(",".join(STEPS)) == list(STEPS)


@pytest.mark.parametrize("steps", ["", " , ", "logits,fly"])
def test_steps_that_are_none(steps):
    with pytest.raises(UsageError, match="logits, triplets, train, evaluate"):
        read_steps(steps)


def test_a_word_that_is_not_allowed():
    with pytest.raises(UsageError, match="--dtype wants fp32, bf16, not 'int4'"):
        one_of("--dtype", "int4", ("fp32", "bf16"))


def run(monkeypatch, module, name, arguments):
    """Run a verb as far as its plan."""
    plans = []

    def take(_settings, plan, *_watch, **_how):
        plans.append(plan)
        raise UsageError("as far as this")

    monkeypatch.setattr(module, name, take)
    done = CliRunner().invoke(app, ["learn", *arguments])
    assert isinstance(done.exception, UsageError), done.output
    return plans, str(done.exception)


def test_a_plan_of_a_reranker(monkeypatch, beir, tmp_path):  # noqa: F811
    arguments = ["distill-reranker", "--beir", f"{beir}@law", "--search-by", f"{beir}@law", "--layers", "2"]
    [plan], _ = run(
        monkeypatch,
        learn_distill,
        "distill_reranker",
        [*arguments, "--accumulate", "4", "--out", str(tmp_path / "out")],
    )
    assert (plan.training.layers, plan.training.begin_with, plan.training.loss) == (2, "lowest", "kl")
    assert (plan.training.accumulation, plan.training.base) == (4, "BAAI/bge-reranker-v2-m3")
    assert (plan.teacher.name, plan.teacher.kind) == ("Qwen/Qwen3-Reranker-8B", None)
    [learnt], [searched] = plan.sources.judged, plan.judged
    assert not {text for _, text, _ in learnt.queries} & {text for _, text, _ in searched.queries}
    assert set(plan.sources.keep_out) == {text for _, text, _ in searched.queries}


def test_a_plan_of_an_encoder(monkeypatch, beir, tmp_path):  # noqa: F811
    arguments = ["distill-encoder", "--beir", f"{beir}@law", "--out", str(tmp_path / "out")]
    [plan], _ = run(monkeypatch, learn_distill_encoder, "distill_encoder", arguments)
    assert plan.arguments.general_share == 0.0, "nothing general is named"
    assert plan.judged[1] == []
    [plan], _ = run(
        monkeypatch, learn_distill_encoder, "distill_encoder", [*arguments, "--general", f"{beir}@cmrc", "--cached"]
    )
    assert plan.arguments.general_share == 0.25
    assert plan.arguments.cached
    dev = {text for _, text, _ in plan.judged[0][0].queries}
    for sources in (plan.domain, plan.general):
        assert set(sources.keep_out) == dev
        assert not {text for _, text, _ in sources.judged[0].queries} & dev


def test_nothing_to_learn_from(monkeypatch, tmp_path):
    for verb in ("distill-reranker", "distill-encoder"):
        done = CliRunner().invoke(app, ["learn", verb, "--out", str(tmp_path / "out")])
        assert isinstance(done.exception, UsageError), verb
        assert "nothing to learn from" in str(done.exception), verb
