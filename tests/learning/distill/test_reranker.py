"""A real distillation of a tiny BERT: its losses by hand, its steps alone and together, the teacher's order learnt."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bothways.core.errors import UsageError
from bothways.core.settings import Settings
from bothways.learning.distill.reranker import STEPS, Plan, distill_reranker, drawn_groups
from bothways.learning.distill.state import logits_folder, triplets_file
from bothways.learning.distill.teacher import TeacherArguments
from bothways.learning.reranker.build import Sources
from bothways.learning.reranker.data.build import MiningOptions
from bothways.learning.reranker.data.groups import Group, read_groups, write_groups
from bothways.learning.reranker.state import FOLDER, Training, begin, groups_file
from bothways.learning.reranker.train import train
from bothways.learning.reranker.trainer import GroupLoss
from bothways.learning.run_folder import sha256_of
from bothways.learning.training_arguments import RerankerArguments
from bothways.models.rerank.cross_encoder import load_cross_encoder
from tests.learning.reranker.test_train import FixedModel
from tests.models.tiny_models import causal_folder, cross_encoder_folder, transformers_folder

ARGUMENTS = {"epochs": 25, "batch_size": 8, "learning_rate": 1e-2, "max_length": 24, "evaluations": 2, "patience": 9}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def loss_of(kind, **how):
    scores = [torch.tensor([3.0, 1.0, 0.0]), torch.tensor([1.0, 2.0])]
    return float(GroupLoss(FixedModel(), kind=kind, **how)([["q", "q"], [["2", "0", "-1"], ["10", "3"]]], scores))


def softmax(values):
    whole = sum(math.exp(value) for value in values)
    return [math.exp(value) / whole for value in values]


def kl(scores, logits, temperature):
    target, given = (softmax([one / temperature for one in values]) for values in (scores, logits))
    return temperature**2 * sum(p * math.log(p / q) for p, q in zip(target, given, strict=True))


def test_margin_mse_by_hand():
    """Margins of the student 2 and 3, 7; of the teacher 2 and 3, -1."""
    assert loss_of("margin-mse") == pytest.approx((0 + (7 + 1) ** 2) / 2)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kl_by_hand(temperature):
    expected = (kl([3, 1, 0], [2, 0, -1], temperature) + kl([1, 2], [10, 3], temperature)) / 2
    assert loss_of("kl", temperature=temperature) == pytest.approx(expected, rel=1e-5)


def test_a_share_of_the_hard_label_by_hand():
    soft = (kl([3, 1, 0], [2, 0, -1], 1) + kl([1, 2], [10, 3], 1)) / 2
    hard = -(math.log(softmax([2, 0, -1])[0]) + math.log(softmax([10, 3])[0])) / 2
    assert loss_of("kl", hard_label=0.25) == pytest.approx(0.75 * soft + 0.25 * hard, rel=1e-5)
    assert loss_of("kl", hard_label=1.0) == pytest.approx(hard, rel=1e-5)


def group(number):
    """The teacher likes x, however often it says that the label is another."""
    rng = np.random.default_rng(number)
    counts = rng.permutation(4)
    texts = [" ".join(rng.permutation(["x"] * count + list(rng.choice(list("abcd"), 5 - count)))) for count in counts]
    part = "dev" if number % 5 == 0 else "train"
    scores = tuple(float(3 * count) for count in counts)
    return Group(
        key=f"k{number}",
        query="a b",
        positive=texts[0],
        negatives=tuple(texts[1:]),
        source="made up",
        part=part,
        scores=scores,
    )


GROUPS = [group(number) for number in range(100)]


@pytest.mark.parametrize(("loss", "accumulation"), [("kl", 1), ("margin-mse", 2)])
def test_a_student_learns_its_teachers_order(tmp_path, loss, accumulation):
    base, out = transformers_folder(tmp_path / "base"), tmp_path / "out"
    arguments = RerankerArguments(
        base=str(base), **{**ARGUMENTS, "batch_size": 8 // accumulation}, loss=loss, accumulation=accumulation
    )
    training = begin(out, arguments, {}, command="", resume=False)
    write_groups(groups_file(out), GROUPS)
    training.groups_sha256 = sha256_of(groups_file(out))
    done = train(GROUPS, training, out, base=base)
    assert done.steps == done.planned == 250, "80 groups, 8 a step, 25 times"
    settings = Settings(_env_file=None, cache_dir=tmp_path, reranker_model=str(out), model_backend="torch")
    model = load_cross_encoder(settings)
    right = [
        np.argsort(model.score(one.query, one.passages)).tolist() == np.argsort(one.scores).tolist()
        for one in GROUPS
        if one.part == "dev"
    ]
    assert np.mean(right) > 0.5, "one in 24 by chance"


@pytest.fixture
def trained_in(tmp_path):
    """A folder of `bothways learn reranker`, as far as its groups."""
    folder = tmp_path / "earlier"
    (folder / FOLDER).mkdir(parents=True)
    write_groups(groups_file(folder), [replace(one, scores=()) for one in GROUPS[:40]])
    counts = {"groups": {"train": 32, "dev": 8}, "drawn": {"made up": 40}, "kept_out": {}}
    Training(arguments=RerankerArguments(base="x"), sources={}, counts=counts).write(folder)
    return folder


def plan_of(tmp_path, trained_in, teacher, **changed):
    student = tmp_path / "student"
    if not student.exists():
        cross_encoder_folder(student)
    training = RerankerArguments(
        base=str(student), **{**ARGUMENTS, "epochs": 1}, loss="kl", layers=1, begin_with="spread", temperature=2.0
    )
    plan = {
        "out": tmp_path / "out",
        "steps": STEPS,
        "sources": Sources(collections=[]),
        "mining": MiningOptions(),
        "teacher": TeacherArguments(name=str(teacher), dtype="fp32", max_length=120),
        "training": training,
        "groups": trained_in,
        "command": "bothways learn distill-reranker",
    }
    return Plan(**{**plan, **changed})


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, cache_dir=tmp_path / "cache", model_backend="torch")


def test_all_four_steps_with_a_language_model_as_the_teacher(tmp_path, trained_in, settings):
    plan = plan_of(tmp_path, trained_in, causal_folder(tmp_path / "lm"))
    done = distill_reranker(settings, plan)
    assert list(done) == list(STEPS)
    assert done["logits"] == {"groups": 40, "pairs": 160, "shards_written": 1}
    scored = read_groups(triplets_file(plan.out))
    first = np.mean([one.scores[0] > max(one.scores[1:]) for one in scored])
    assert done["triplets"] == {"groups": 40, "triplets": 120, "answer_first": pytest.approx(first, abs=1e-4)}
    report = done["evaluate"]
    assert report["groups"]["number"] == 8
    assert report["groups"]["student_before"] == done["train"]["untrained"]
    assert report["teacher_timed"] == "in the step `logits`"
    assert report["time_share"] > 0
    assert json.loads((plan.out / "config.json").read_text())["num_hidden_layers"] == 1
    card = (plan.out / "README.md").read_text("utf-8")
    for told in ("yes-no", "loss kl, temperature 2", "1 layers, begun with spread", "| teacher |", "kept out"):
        assert told in card, told
    distill_reranker(settings, replace(plan, steps=["evaluate"]))
    assert (plan.out / "README.md").read_text("utf-8").count("## Before, after and the teacher") == 1


def test_steps_alone_give_the_same(tmp_path, trained_in, settings):
    teacher = cross_encoder_folder(tmp_path / "teacher", labels=2)
    together = plan_of(tmp_path, trained_in, teacher)
    distill_reranker(settings, together)
    alone = replace(together, out=tmp_path / "alone")
    for step in STEPS:
        distill_reranker(settings, replace(alone, steps=[step]))
    for name in ("distillation/triplets.jsonl", "model.safetensors"):
        assert (together.out / name).read_bytes() == (alone.out / name).read_bytes(), name


def test_a_step_that_lacks_the_one_before_says_so(tmp_path, trained_in, settings):
    plan = plan_of(tmp_path, trained_in, cross_encoder_folder(tmp_path / "teacher"))
    with pytest.raises(UsageError, match="begin with the step `logits`"):
        distill_reranker(settings, replace(plan, steps=["triplets"]))
    distill_reranker(settings, replace(plan, steps=["logits"]))
    with pytest.raises(UsageError, match="run the step `triplets` first"):
        distill_reranker(settings, replace(plan, steps=["train"]))
    with pytest.raises(UsageError, match="run the step `train` first"):
        distill_reranker(settings, replace(plan, steps=["evaluate"]))


def test_what_is_there_is_gone_on_with_or_refused(tmp_path, trained_in, settings):
    plan = plan_of(tmp_path, trained_in, cross_encoder_folder(tmp_path / "teacher"), steps=["logits"])
    distill_reranker(settings, plan)
    with pytest.raises(UsageError, match="--resume"):
        distill_reranker(settings, plan)
    [shard] = logits_folder(plan.out).iterdir()
    before = shard.read_bytes()
    shard.unlink()
    assert distill_reranker(settings, replace(plan, resume=True))["logits"]["shards_written"] == 1
    rows = [json.loads(line) for line in before.splitlines()[1:]]
    assert [json.loads(line) for line in shard.read_bytes().splitlines()[1:]] == rows
    other = replace(plan, resume=True, teacher=plan.teacher.model_copy(update={"instruction": "other"}))
    with pytest.raises(UsageError, match="other arguments or data: teacher was"):
        distill_reranker(settings, other)


def test_of_many_groups_those_measured_are_kept():
    parts = [one.part for one in drawn_groups(GROUPS, MiningOptions(max_groups=50, seed=1))]
    assert (parts.count("dev"), parts.count("train")) == (20, 30)
    assert drawn_groups(GROUPS, MiningOptions(max_groups=50, seed=1)) == drawn_groups(
        GROUPS, MiningOptions(max_groups=50, seed=1)
    )
    assert drawn_groups(GROUPS, MiningOptions()) == GROUPS


def test_a_loss_that_needs_no_teacher_is_refused(tmp_path, trained_in, settings):
    plan = plan_of(tmp_path, trained_in, "x", training=RerankerArguments(base="x", loss="bce"))
    with pytest.raises(UsageError, match="learns from no teacher"):
        distill_reranker(settings, plan)
