"""What the distillations are told on the command line, and what they refuse before anything is loaded."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bothways.cli.main import app
from bothways.cli.verbs import learn_distill, learn_distill_encoder
from bothways.cli.verbs.learn_distill import read_steps
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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("teacher_dtype=int4", "teacher_dtype=int4: Input should be 'auto', 'fp32', 'fp16' or 'bf16'"),
        ("layers=0", "layers=0: Input should be greater than or equal to 1"),
        ("learning_rate=fast", "learning_rate=fast: Input should be a valid number"),
        ("layer=2", "--set layer=2: wants NAME=VALUE with one of .*layers"),
        ("layers", "--set layers: wants NAME=VALUE"),
        ("epochs=2", "--set epochs=2: wants NAME=VALUE"),
    ],
)
def test_a_value_that_is_not_allowed(given, message, tmp_path):
    arguments = ["learn", "distill-reranker", "--steps", "train", "--out", str(tmp_path / "out"), "--set", given]
    done = CliRunner().invoke(app, arguments)
    with pytest.raises(UsageError, match=message):
        raise done.exception


@pytest.mark.parametrize("verb", ["reranker", "distill-reranker", "distill-encoder"])
def test_help_lists_what_can_be_set(verb):
    done = CliRunner().invoke(app, ["learn", verb, "--set", "help"])
    assert done.exit_code == 0
    assert "learning_rate=5e-05  of the first steps" in done.output
    assert "epochs" not in done.output, "it has an option of its own"


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
    arguments = ["distill-reranker", "--beir", f"{beir}@law", "--set", "layers=2"]
    [plan], _ = run(
        monkeypatch,
        learn_distill,
        "distill_reranker",
        [*arguments, "--set", "accumulation=4", "--set", "negatives=7", "--out", str(tmp_path / "out")],
    )
    assert (plan.training.layers, plan.training.begin_with, plan.training.loss) == (2, "lowest", "kl")
    assert (plan.training.accumulation, plan.training.base) == (4, "BAAI/bge-reranker-v2-m3")
    assert (plan.teacher.name, plan.teacher.kind) == ("Qwen/Qwen3-Reranker-8B", None)
    assert (plan.mining.negatives, plan.mining.margin, plan.training.residual) == (7, 2, 0.0)
    [learnt], [searched] = plan.sources.judged, plan.judged
    assert not {text for _, text, _ in learnt.queries} & {text for _, text, _ in searched.queries}
    assert set(plan.sources.keep_out) == {text for _, text, _ in searched.queries}


def test_a_plan_of_an_encoder(monkeypatch, beir, tmp_path):  # noqa: F811
    arguments = ["distill-encoder", "--beir", f"{beir}@law", "--out", str(tmp_path / "out")]
    [plan], _ = run(monkeypatch, learn_distill_encoder, "distill_encoder", arguments)
    assert plan.arguments.general_share == 0.0, "nothing general is named"
    assert plan.judged[1] == []
    [plan], _ = run(
        monkeypatch,
        learn_distill_encoder,
        "distill_encoder",
        [*arguments, "--general", f"{beir}@cmrc", "--set", "cached=true"],
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
