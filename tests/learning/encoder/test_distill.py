"""A real distillation of a tiny encoder: its loss by hand, GradCache, resuming, how far it goes, what it saves."""

from __future__ import annotations

import json
import math
import os
import signal

import numpy as np
import pytest
import torch

from bothways.core.errors import UsageError
from bothways.core.settings import Settings
from bothways.learning.encoder.data import QUESTION
from bothways.learning.encoder.measure import chosen_share
from bothways.learning.encoder.report import changes
from bothways.learning.encoder.train import (
    interpolate,
    load_student,
    save_encoder,
    train_encoder,
    weights_of,
)
from bothways.learning.encoder.trainer import Collate, distillation_loss, encode_texts, schedule
from bothways.learning.reranker.data.groups import Group
from bothways.learning.training_arguments import EncoderArguments
from bothways.models.embed.encoder import load_encoder
from tests.models.tiny_models import sentence_transformers_folder

LETTERS = "abcdefgh"
GROUPS = [
    Group(
        key=f"k{number}",
        query=f"x {LETTERS[number % 8]}",
        positive=f"y {LETTERS[number % 8]} {LETTERS[number // 8]}",
        negatives=tuple(f"y {LETTERS[(number + step) % 8]} {LETTERS[number // 8]}" for step in (1, 2)),
        source="made up",
        part="train",
        scores=(1.0, 0.5, 0.0),
    )
    for number in range(64)
]
ARGUMENTS = EncoderArguments(
    base="", batch_size=8, epochs=8, learning_rate=3e-3, temperature=0.05, teacher_temperature=0.1, general_share=0.0
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return sentence_transformers_folder(tmp_path_factory.mktemp("base") / "m", pooling="cls", normalize=True)


def trained(base, work, *, general=(), base_vectors=None, on_log=lambda *_: None, **changed):
    arguments = ARGUMENTS.model_copy(update=changed)
    student, tokenizer = load_student(base, arguments)
    learnt = train_encoder(
        student,
        tokenizer,
        GROUPS,
        general,
        arguments,
        work,
        taught=None,
        base_vectors=base_vectors or {},
        prompt="",
        on_log=on_log,
    )
    return student, tokenizer, learnt


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    return trained(base, tmp_path_factory.mktemp("whole"))


def encode(student, tokenizer, texts):
    return encode_texts(student, tokenizer, texts, max_length=32)


def first_share(student, tokenizer):
    """How often the answer is nearest of a group."""
    right = []
    for group in GROUPS:
        query, *texts = encode(student, tokenizer, [group.query, *group.passages])
        right.append(np.argmax(np.stack(texts) @ query) == 0)
    return np.mean(right)


def test_the_loss_by_hand():
    """Cosines 0.6 and 0.8 of the first question, 1 and 0 of the second, who has no score for the second text."""
    vectors = torch.tensor([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    scores = torch.tensor([[2.0, 1.0], [3.0, math.nan]])
    found = float(distillation_loss(vectors, scores, torch.tensor([0, 0]), 0.2, 0.5, 0.25))

    def log_softmax(values):
        return [value - math.log(sum(map(math.exp, values))) for value in values]

    given, target = log_softmax([3.0, 4.0]), log_softmax([4.0, 2.0])
    first = sum(math.exp(w) * (w - g) for w, g in zip(target, given, strict=True))
    second = -log_softmax([5.0, 0.0])[0]
    hard = (-given[0] + second) / 2
    assert found == pytest.approx(0.75 * (first + second) / 2 + 0.25 * hard, rel=1e-5)


def test_it_learns_what_its_teacher_says(base, whole):
    student, tokenizer, learnt = whole
    untrained, _ = load_student(base, ARGUMENTS)
    assert first_share(untrained, tokenizer) < 0.6
    assert first_share(student, tokenizer) > 0.8
    assert (learnt.steps, learnt.planned) == (64, 64)
    assert learnt.losses[-1][1] < learnt.losses[0][1]
    for (name, before), (_, after) in zip(
        untrained.model.named_parameters(), student.model.named_parameters(), strict=True
    ):
        if name.startswith("embeddings."):
            assert torch.equal(before, after), name


def test_in_chunks_the_gradient_is_the_same(base):
    gradients = {}
    for cached in (False, True):
        student, tokenizer = load_student(base, EncoderArguments(base="", cached=cached))
        collate = Collate(
            tokenizer,
            GROUPS,
            [],
            taught=None,
            base={},
            prompt="",
            max_length=32,
            temperatures=(0.05, 0.1),
            hard_label=0.2,
        )
        student.train()
        (batch,) = schedule(16, 0, batch_size=16, epochs=1, general_share=0.0, seed=1)
        (student(**collate([batch]))["loss"] / 2).backward()
        gradients[cached] = {n: p.grad for n, p in student.model.named_parameters() if p.grad is not None}
    assert gradients[True].keys() == gradients[False].keys()
    size = max(float(one.abs().max()) for one in gradients[False].values())
    for name, gradient in gradients[False].items():
        assert torch.allclose(gradients[True][name], gradient, atol=0.02 * size), name


def test_it_goes_on_after_ctrl_c_to_the_same_weights(base, whole, tmp_path):
    def interrupt(step, _of, logs):
        if step >= 16 and "loss" in logs:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained(base, tmp_path, on_log=interrupt)
    student, _, learnt = trained(base, tmp_path)
    assert learnt.steps == 64
    for (name, once), (_, again) in zip(
        whole[0].model.named_parameters(), student.model.named_parameters(), strict=True
    ):
        assert torch.allclose(once, again, atol=1e-6), name


def test_on_general_questions_the_base_is_kept(base, tmp_path):
    """Nothing of the domain is learnt where all batches but one are general: the base is its own teacher."""
    student, tokenizer = load_student(base, ARGUMENTS)
    texts = list({text for group in GROUPS for text in group.passages})
    queries = [group.query for group in GROUPS]
    vectors = dict(zip(texts, encode(student, tokenizer, texts), strict=True))
    vectors |= {QUESTION + q: v for q, v in zip(queries, encode(student, tokenizer, queries), strict=True)}
    collate = Collate(
        tokenizer,
        [],
        GROUPS,
        taught=None,
        base=vectors,
        prompt="",
        max_length=32,
        temperatures=(0.05, 0.1),
        hard_label=0.5,
    )
    batches = [one for one in schedule(8, 64, batch_size=8, epochs=1, general_share=0.5, seed=1) if one.general]
    with torch.no_grad():
        kept = float(student(**collate(batches))["loss"])
        interpolate(student, weights_of(student), {n: 2 * w for n, w in weights_of(student).items()}, 1.0)
        changed = float(student(**collate(batches))["loss"])
    assert kept == pytest.approx(0.0, abs=0.02)
    assert changed > 0.1


def test_batches_are_those_of_the_seed():
    how = {"batch_size": 4, "epochs": 2, "general_share": 0.25}
    one, other = (schedule(20, 50, **how, seed=seed) for seed in (1, 2))
    assert one == schedule(20, 50, **how, seed=1)
    assert one != other
    domain = [place for batch in one if not batch.general for place in batch.places]
    assert sorted(domain) == sorted([*range(20), *range(20)])
    assert sum(batch.general for batch in one) == round(10 / 3)
    assert not any(batch.general for batch in schedule(20, 0, **how, seed=1))


def test_between_base_and_learnt(base, whole):
    student, _ = load_student(base, ARGUMENTS)
    before, learnt = weights_of(student), weights_of(whole[0])
    interpolate(student, before, learnt, 0.25)
    for name, array in weights_of(student).items():
        assert torch.allclose(array, 0.75 * before[name] + 0.25 * learnt[name], atol=1e-6), name


@pytest.mark.parametrize(
    ("domain", "general", "chosen"),
    [
        ([0.4, 0.5, 0.6], [0.8, 0.79, 0.7], 0.5),  # the last loses an eighth
        ([0.4, 0.5, 0.6], [0.8, 0.79, 0.79], 1.0),
        ([0.4, 0.5, 0.5], [0.8, 0.8, 0.8], 0.5),  # of equals the nearer to the base
        ([0.4, 0.5, 0.6], [0.8, 0.7, 0.7], 0.0),
        ([0.4, 0.5, 0.6], [None, None, None], 1.0),
    ],
)
def test_how_far_to_go(domain, general, chosen):
    rows = [
        {"share": share, "domain": one, "general": other}
        for share, one, other in zip((0.0, 0.5, 1.0), domain, general, strict=True)
    ]
    assert chosen_share(rows, max_loss=0.02) == chosen


def test_the_folder_serves_in_both_backends_as_the_student_does(base, whole, tmp_path):
    student, tokenizer, _ = whole
    (tmp_path / "out" / "onnx").mkdir(parents=True)
    (tmp_path / "out" / "onnx" / "model.onnx").write_bytes(b"of an earlier run")
    save_encoder(student, base, tmp_path / "out")
    assert (tmp_path / "out" / "config.json").read_bytes() == (base / "config.json").read_bytes()
    assert json.loads((tmp_path / "out" / "modules.json").read_text())
    texts = ["x a", "y b c d", "合同"]
    expected = encode(student, tokenizer, texts)
    for backend in ("torch", "onnx"):
        settings = Settings(
            _env_file=None, cache_dir=tmp_path, embedding_model=str(tmp_path / "out"), model_backend=backend
        )
        found = load_encoder(settings).encode_documents(texts)
        assert np.allclose(found, expected, atol=0.03), backend  # bf16 in training where the machine has it


def test_nothing_to_learn(base, tmp_path):
    student, tokenizer = load_student(base, ARGUMENTS)
    with pytest.raises(UsageError, match="0 questions make no batch"):
        train_encoder(student, tokenizer, [], [], ARGUMENTS, tmp_path, taught=None, base_vectors={}, prompt="")


def test_changes_are_relative():
    before = {"domain": [{"name": "a", "map": 0.4, "mrr@10": 0.0, "ndcg@10": 0.5}], "general": []}
    after = {"domain": [{"name": "a", "map": 0.5, "mrr@10": 0.1, "ndcg@10": 0.45}], "general": []}
    assert changes(before, after) == [{"name": "a", "kind": "domain", "map": 0.25, "mrr@10": None, "ndcg@10": -0.1}]
