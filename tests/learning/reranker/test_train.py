"""A real training of a tiny BERT on the CPU: it learns, it goes on where it was cut off, it tells what it did."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from bothways.core.errors import ModelError, UsageError
from bothways.core.settings import Settings
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.data.groups import Group, write_groups
from bothways.learning.reranker.report import write_report
from bothways.learning.reranker.state import begin, forget, groups_file
from bothways.learning.reranker.train import residual_of, train
from bothways.learning.reranker.trainer import (
    GroupLoss,
    LengthBatchSampler,
    leave_out_dropout,
)
from bothways.learning.run_folder import sha256_of
from bothways.learning.training_arguments import RerankerArguments
from bothways.models.onnx.first_token import compute_first_token_only
from bothways.models.rerank.cross_encoder import load_cross_encoder
from tests.models.tiny_models import cross_encoder_folder, transformers_folder

ARGUMENTS = {"epochs": 20, "batch_size": 8, "learning_rate": 1e-2, "max_length": 24, "evaluations": 4, "patience": 9}


def group(number):
    """The answer has an x, whatever else; the others have none."""
    rng = np.random.default_rng(number)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=4 + number % 5)) for _ in range(4)]
    part = "dev" if number % 5 == 0 else "train"
    return Group(
        key=f"k{number}", query="a b", positive=f"x {texts[0]}", negatives=tuple(texts[1:]), source="made up", part=part
    )


GROUPS = [group(number) for number in range(50)]  # 40 to train on: 5 steps an epoch, 100 in all


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Threads of so small a model only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return transformers_folder(tmp_path_factory.mktemp("base") / "tiny")


def trained(base, out, *, on_log=lambda *_: None, resume=False, minutes=None, groups=GROUPS, **changed):
    arguments = RerankerArguments(base=str(base), **{**ARGUMENTS, **changed})
    training = begin(out, arguments, {"negatives": 3}, command="bothways learn reranker", resume=resume)
    if not resume:
        write_groups(groups_file(out), groups)
        training.groups_sha256 = sha256_of(groups_file(out))
        training.counts = {"groups": {"train": 40, "dev": 10}, "drawn": {"made up": 50}, "kept_out": {}}
        training.write(out)
    return train(groups, training, out, base=base, on_log=on_log, minutes=minutes), training


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "model"
    return (*trained(base, out), out)


def test_it_learns(whole):
    done, training, _ = whole
    losses = [loss for _, loss in done.losses]
    assert losses[0] > math.log(4) / 2, "four passages, nothing known"
    assert losses[-1] < losses[0] / 4
    assert training.untrained[MEASURE] < 0.9
    assert dict(done.measures)[done.best_step][MEASURE] == max(measures[MEASURE] for _, measures in done.measures)
    assert dict(done.measures)[done.best_step][MEASURE] > 0.95
    assert [step for step, _ in done.measures] == [25, 50, 75, 100]


def test_embeddings_stay_as_they_were(base, whole):
    before, after = load_file(base / "model.safetensors"), load_file(whole[2] / "model.safetensors")
    for name, array in before.items():
        same = np.array_equal(array, after[f"bert.{name}"]) if f"bert.{name}" in after else None
        assert same is (bool(name.startswith("embeddings."))) or name.startswith("pooler."), name
    assert whole[0].parameters["trained"] < whole[0].parameters["all"]


def test_the_saved_model_reranks_in_both_backends(whole, tmp_path):
    scores = {}
    for backend in ("torch", "onnx"):
        settings = Settings(
            _env_file=None,
            cache_dir=tmp_path,
            reranker_model=str(whole[2]),
            model_backend=backend,
            reranker_precision="fp32",
        )
        model = load_cross_encoder(settings)
        assert model.pair_tokens == 24 - 3, "it reads what it was trained to read"
        scores[backend] = model.score("a b", ["c d e", "x c d e", "f g"])
    assert np.argmax(scores["torch"]) == 1
    assert np.allclose(scores["torch"], scores["onnx"], atol=1e-3)


def test_sigmoids_are_probabilities(whole, tmp_path):
    calibration = whole[0].calibration
    assert calibration.pairs == 10 * 4
    settings = Settings(_env_file=None, cache_dir=tmp_path, reranker_model=str(whole[2]), model_backend="torch")
    model = load_cross_encoder(settings)
    dev = [one for one in GROUPS if one.part == "dev"]
    sigmoids = 1 / (1 + np.exp(-np.array([model.score(one.query, one.passages) for one in dev])))
    answers, others = sigmoids[:, 0].mean(), sigmoids[:, 1:].mean()
    assert answers + others == pytest.approx(11 / 12 + 1 / 32, abs=0.02), "what maximum likelihood gives"


def test_what_goes_on_from_a_model_learns_beside_the_same(base, tmp_path):
    assert residual_of(base) == 0.0
    knowing = [replace(one, first=(0.6, 0.5, 0.4, 0.3)) for one in GROUPS]
    done, _ = trained(base, tmp_path / "model", groups=knowing, residual=2.0, epochs=3)
    assert done.calibration is not None
    assert residual_of(tmp_path / "model") == pytest.approx(2.0 * done.calibration.scale, abs=1e-4)
    trained(tmp_path / "model", tmp_path / "plain", epochs=1)
    assert residual_of(tmp_path / "plain") == 0.0


def test_its_share_of_a_score_is_measured_on_peoples_questions(base, tmp_path):
    people = [replace(one, kind="judged", first=(0.5, 1.0, 0.0, 0.0)) for one in (group(n) for n in range(170))]
    done, training = trained(base, tmp_path / "model", groups=people, epochs=5)
    blending = done.blending
    assert blending.groups == sum(one.part == "dev" for one in people)
    assert blending.measures[0.0] < blending.measures[blending.alpha]
    assert blending.alpha > 0.3, "the first stage is wrong by half of its best score"
    report = write_report(tmp_path / "model", training, done)
    assert report["blending"]["alpha"] == blending.alpha
    settings = Settings(_env_file=None, cache_dir=tmp_path, reranker_model=str(tmp_path / "model"))
    assert load_cross_encoder(settings).alpha == blending.alpha
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert f"a share of {blending.alpha:g} beside the first stage's" in card

    again, training = trained(tmp_path / "model", tmp_path / "again", epochs=1)
    assert again.blending is None, "no question of people"
    report = write_report(tmp_path / "again", training, again)
    assert report["base_report"]["groups_sha256"] != report["groups_sha256"]
    card = (tmp_path / "again" / "README.md").read_text("utf-8")
    assert f"base_model: {base}" in card, "what the first training began with"
    assert card.count("    bothways learn reranker") == 2
    assert load_cross_encoder(settings.model_copy(update={"reranker_model": str(tmp_path / "again")})).alpha == (
        blending.alpha
    ), "it keeps what its base was measured with"


def test_it_goes_on_after_ctrl_c_to_the_same_result(base, whole, tmp_path):
    def interrupt(step, _of, logs):
        if step == 35 and "loss" in logs:
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "model"
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(base, out, on_log=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (out / "model.safetensors").exists()
    done, training = trained(base, out, resume=True)
    assert [(one["from_step"], one["to_step"]) for one in training.sessions] == [(0, 36), (36, 100)]
    assert done.measures == whole[0].measures
    again, once = load_file(out / "model.safetensors"), load_file(whole[2] / "model.safetensors")
    assert again.keys() == once.keys()
    for name, array in once.items():
        assert np.allclose(again[name], array, atol=1e-6), name


def test_what_it_was_begun_with_is_known_again(base, tmp_path):
    arguments, facts = RerankerArguments(base=str(base)), {"general": ("cmrc", "drcd"), "keep_out": [3, "a"]}
    begin(tmp_path / "model", arguments, facts, command="", resume=False)
    assert begin(tmp_path / "model", arguments, facts, command="", resume=True).arguments == arguments
    with pytest.raises(UsageError, match="general was"):
        begin(tmp_path / "model", arguments, {**facts, "general": ("cmrc",)}, command="", resume=True)


def test_time_ends_it_with_a_model(base, tmp_path):
    done, _ = trained(base, tmp_path / "model", minutes=1e-9)
    assert done.out_of_time
    assert done.steps == 1
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_bce_and_fewer_layers(base, tmp_path):
    done, _ = trained(base, tmp_path / "model", loss="bce", layers=1, freeze_embeddings=False)
    assert done.losses[-1][1] < done.losses[0][1]
    assert json.loads((tmp_path / "model" / "config.json").read_text())["num_hidden_layers"] == 1
    assert done.parameters["trained"] == done.parameters["all"]


def test_more_layers_than_there_are(base, tmp_path):
    with pytest.raises(ModelError, match="has 2 layers, not 3"):
        trained(base, tmp_path / "model", layers=3)


def test_report_and_card(whole):
    done, training, out = whole
    report = write_report(out, training, done)
    assert json.loads((out / "report.json").read_text("utf-8")) == report
    assert report["ended_by"] == "steps"
    assert report["best"][MEASURE] == dict(done.measures)[done.best_step][MEASURE]
    page = (out / "report.md").read_text("utf-8")
    assert "40 groups to train on, 10 to measure by; 100 of 100 steps" in page
    card = (out / "README.md").read_text("utf-8")
    for told in ("bothways learn reranker", "seed 42", "embeddings frozen", training.groups_sha256, "made up: 50"):
        assert told in card


@pytest.mark.parametrize(
    ("changed", "told"), [({"learning_rate": 1e-3}, "learning_rate was 0.01, is 0.001"), ({"seed": 7}, "seed was 42")]
)
def test_resume_with_other_arguments_is_refused(base, whole, changed, told):
    with pytest.raises(UsageError, match=told):
        trained(base, whole[2], resume=True, **changed)


def test_resume_with_other_data_is_refused(base, tmp_path):
    arguments = RerankerArguments(base=str(base))
    out = tmp_path / "model"
    training = begin(out, arguments, {"collections": {"law": "bothways-law-v1"}}, command="", resume=False)
    with pytest.raises(UsageError, match="bothways-law-v2"):
        begin(out, arguments, {"collections": {"law": "bothways-law-v2"}}, command="", resume=True)
    write_groups(groups_file(out), GROUPS[:2])
    training.groups_sha256 = sha256_of(groups_file(out))
    training.write(out)
    write_groups(groups_file(out), GROUPS[:3])
    with pytest.raises(UsageError, match="was changed"):
        begin(out, arguments, training.sources, command="", resume=True)


def test_folders_that_are_taken_or_empty(tmp_path):
    arguments = RerankerArguments(base="x")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(UsageError, match="--resume"):
        begin(tmp_path / "taken", arguments, {}, command="", resume=False)
    with pytest.raises(UsageError, match="No training was begun"):
        begin(tmp_path / "nothing", arguments, {}, command="", resume=True)


def test_a_training_that_came_to_nothing_leaves_its_folder_free(tmp_path):
    arguments = RerankerArguments(base="x")
    begin(tmp_path / "model", arguments, {}, command="", resume=False)
    forget(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    (tmp_path / "model").mkdir()
    begin(tmp_path / "model", arguments, {}, command="", resume=False)
    (tmp_path / "model" / "mine.txt").touch()
    forget(tmp_path / "model")
    assert (tmp_path / "model" / "mine.txt").exists()


class FixedModel:
    """Logits are the numbers that passages are."""

    device = "cpu"

    def preprocess(self, pairs, prompt=None, task=None):
        return {"logits": torch.tensor([[float(text)] for _, text in pairs])}

    def __call__(self, tokens):
        return {"scores": tokens["logits"]}


LOGITS = [["2", "0", "-1"], ["10", "3"]]
LABELS = [torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0])]


def loss_of(kind):
    loss = GroupLoss(FixedModel(), kind=kind)
    return float(loss([["q", "q"], LOGITS], LABELS))


def test_losses_by_hand():
    first = -2 + math.log(math.exp(2) + 1 + math.exp(-1))
    second = -3 + math.log(math.exp(10) + math.exp(3))
    assert loss_of("listwise") == pytest.approx((first + second) / 2)

    def bce(logit, label):
        return math.log(1 + math.exp(-logit if label else logit))

    pairs = [[bce(2, 1), bce(0, 0), bce(-1, 0)], [bce(10, 0), bce(3, 1)]]
    assert loss_of("bce") == pytest.approx(sum(sum(one) / len(one) for one in pairs) / 2)


def test_what_stands_beside_the_logits_is_added_before_the_loss():
    loss = GroupLoss(FixedModel(), kind="listwise")
    beside = [[0.0, 2.0, 0.0], [0.0, 8.0]]
    first = -2 + math.log(2 * math.exp(2) + math.exp(-1))  # 2, 0 + 2, -1; the first answers
    second = -11 + math.log(math.exp(10) + math.exp(11))  # 10, 3 + 8; the second answers
    assert float(loss([["q", "q"], LOGITS, beside], LABELS)) == pytest.approx((first + second) / 2)


def test_what_the_first_stage_knows_is_not_learnt_again(base, whole, tmp_path):
    knowing = [replace(one, first=(1.0, 0.0, 0.0, 0.0)) for one in GROUPS]
    done, training = trained(base, tmp_path / "model", groups=knowing, residual=20.0)
    assert training.untrained[MEASURE] == 1.0, "the cosine alone has the answer first"
    assert done.losses[0][1] < 0.1 < whole[0].losses[0][1], "there is little left to learn"


def test_the_last_layer_for_the_first_token_alone_gives_the_same(tmp_path):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(cross_encoder_folder(tmp_path / "m")).eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    mask = torch.tensor([[1] * 10, [1] * 6 + [0] * 4])
    names = list(model.state_dict())
    with torch.no_grad():
        before = model(ids, attention_mask=mask).logits
        compute_first_token_only(model)
        after = model(ids, attention_mask=mask).logits
    assert torch.allclose(before, after, atol=1e-5)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("first_token", [False, True])
def test_trained_without_dropout_a_model_says_the_same_twice(tmp_path, first_token):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(cross_encoder_folder(tmp_path / "model")).train()
    if first_token:
        compute_first_token_only(model)
    ids = torch.tensor([[1, 5, 6, 7, 2]])
    assert not torch.equal(model(ids).logits, model(ids).logits), "the model has dropout to leave out"
    leave_out_dropout(model)
    assert model.training
    assert torch.equal(model(ids).logits, model(ids).logits)


def test_batches_are_of_one_length_and_every_epoch_is_another():
    lengths = [(7 * number) % 100 for number in range(100)]
    sampler = LengthBatchSampler(lengths, batch_size=8, drop_last=False, seed=1)
    first = list(sampler)
    assert len(first) == len(sampler) == 13
    assert sorted(one for batch in first for one in batch) == list(range(100))
    spread = [max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in first]
    assert max(spread) <= 8
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert any(a != b for a, b in pairwise([sorted(batch) for batch in first]))
