"""A trained folder to the small form, with the real base model; a training of one step is enough for that."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bothways.core.errors import ModelError, UsageError
from bothways.core.settings import Settings
from bothways.learning.reranker.data.groups import Group, write_groups
from bothways.learning.reranker.export import TOLERANCE, export_reranker
from bothways.learning.reranker.report import write_report
from bothways.learning.reranker.state import begin, groups_file
from bothways.learning.reranker.train import base_folder, train
from bothways.learning.run_folder import sha256_of
from bothways.learning.training_arguments import RerankerArguments
from bothways.models.files.packaged import NAME
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.models.rerank.shipped import is_shipped

GROUPS = [
    Group(
        key="a",
        query="老板拖欠工资怎么办",
        positive="第三十条\n用人单位应当支付劳动报酬",
        negatives=("夫妻应当互相忠实",),
        source="made up",
    ),
    Group(
        key="b",
        query="离婚后孩子归谁",
        positive="离婚后子女由谁抚养",
        negatives=("用人单位应当支付劳动报酬",),
        source="made up",
        part="dev",
    ),
]


def trained_folder(out, packaged_cache):
    base = base_folder(NAME, cache_dir=packaged_cache)
    arguments = RerankerArguments(base=NAME, layers=2, max_length=64, learning_rate=1e-3)
    training = begin(out, arguments, {"negatives": 1}, command="bothways learn reranker --layers 2", resume=False)
    write_groups(groups_file(out), GROUPS)
    training.groups_sha256 = sha256_of(groups_file(out))
    training.counts = {"groups": {"train": 1, "dev": 1}, "drawn": {"made up": 2}}
    write_report(out, training, train(GROUPS, training, out, base=base))
    return out


@pytest.fixture(scope="module")
def trained(packaged_cache, tmp_path_factory):
    return trained_folder(tmp_path_factory.mktemp("trained") / "model", packaged_cache)


def test_the_small_form_scores_like_the_trained_folder(trained, packaged_cache, tmp_path):
    done = export_reranker(trained, tmp_path / "small", cache_dir=packaged_cache, licences="made up: CC0")
    assert is_shipped(done.folder)
    assert 0 <= done.difference <= TOLERANCE
    assert done.pairs == 4
    card = (done.folder / "README.md").read_text("utf-8")
    for told in ("made up: CC0", done.sha256, "bothways learn reranker --layers 2", "at most 64 tokens"):
        assert told in card
    scores = [
        load_cross_encoder(
            Settings(
                _env_file=None,
                cache_dir=packaged_cache,
                reranker_model=str(folder),
                model_backend=backend,
                reranker_precision="fp32",
            )
        ).score(GROUPS[0].query, GROUPS[0].passages)
        for folder, backend in ((trained, "torch"), (done.folder, "onnx"))
    ]
    assert np.allclose(*scores, atol=TOLERANCE)
    assert not list((packaged_cache / "models").glob(".small*")), "what was made to compare is gone"


def test_a_folder_that_is_there_is_refused(trained, packaged_cache, tmp_path):
    with pytest.raises(UsageError, match="is there already"):
        export_reranker(trained, tmp_path, cache_dir=packaged_cache)


def test_a_folder_without_a_training_is_refused(packaged_cache, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"groups\.jsonl"):
        export_reranker(tmp_path / "empty", tmp_path / "small", cache_dir=packaged_cache)


def test_embeddings_that_are_not_the_bases_cannot_be_left_out(trained, packaged_cache, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("checkpoints"))
    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"] += 0.01
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="--freeze-embeddings"):
        export_reranker(folder, tmp_path / "small", cache_dir=packaged_cache)
    assert not (tmp_path / "small").exists()
    assert not list(tmp_path.glob(".small*"))
