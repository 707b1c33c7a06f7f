"""A reranker in its small form: put together with the real base model, it has to be the model that it was made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification

from bothways.core.errors import ModelError
from bothways.core.settings import Settings
from bothways.models.files.packaged import packaged_folder
from bothways.models.onnx.export import quiet
from bothways.models.onnx.weights import ensure_torch_weights
from bothways.models.rerank import shipped
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.models.rerank.shipped import (
    LAYERS,
    MANIFEST,
    NAME,
    assemble,
    is_shipped,
    without_embeddings,
    write_shipped,
)

QUERY = "邻居装修太吵怎么办"
TEXTS = ["第二百八十七条\n业主对建设单位的行为，有权请求承担民事责任。", "公司应当支付工资", "噪声" * 200]


def made_model(packaged_cache: Path, layers: int) -> tuple[dict[str, np.ndarray], dict[str, object], torch.nn.Module]:
    base = packaged_folder(packaged_cache)
    ensure_torch_weights(base)
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(3)
        config = AutoConfig.from_pretrained(base, num_labels=1, num_hidden_layers=layers)
        model = AutoModelForSequenceClassification.from_pretrained(base, config=config, dtype=torch.float32).eval()
        torch.nn.init.normal_(model.classifier.weight, std=0.2)  # so that logits are of the order of 1
    config.architectures = ["BertForSequenceClassification"]
    return {name: array.numpy() for name, array in model.state_dict().items()}, config.to_dict(), model


@pytest.fixture(scope="module", params=[4, 2])
def small(request: pytest.FixtureRequest, packaged_cache: Path, tmp_path_factory: pytest.TempPathFactory):
    weights, config, model = made_model(packaged_cache, request.param)
    folder = tmp_path_factory.mktemp("small") / f"layers-{request.param}"
    manifest = write_shipped(folder, without_embeddings(weights), config, max_tokens=128)
    return folder, manifest, model


def test_the_small_form_is_small(small) -> None:
    folder, manifest, model = small
    trained = sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)
    assert (folder / LAYERS).stat().st_size == manifest["bytes"] < 2 * trained + 20_000 < 30_000_000
    assert is_shipped(folder)


def test_it_scores_like_the_model_that_it_was_made_of(small, packaged_cache: Path) -> None:
    folder, _, model = small
    scores = {}
    for backend in ("onnx", "torch"):
        settings = Settings(
            _env_file=None,
            cache_dir=packaged_cache,
            reranker_model=str(folder),
            model_backend=backend,
            reranker_precision="fp32",
        )
        loaded = load_cross_encoder(settings)
        assert loaded.pair_tokens == 128 - 3
        scores[backend] = loaded.score(QUERY, TEXTS)
        ids = [loaded._limits._tokenizer.encode(QUERY, text) for text in TEXTS]
    with torch.no_grad():
        expected = [
            float(model(torch.tensor([one.ids]), token_type_ids=torch.tensor([one.type_ids])).logits) for one in ids
        ]
    assert np.ptp(expected) > 0.05
    assert np.allclose(scores["onnx"], expected, atol=5e-3), "the tolerance of fp16"
    assert np.allclose(scores["onnx"], scores["torch"], atol=1e-4)


def test_it_is_put_together_once_and_without_torch(
    small, packaged_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, manifest, _ = small
    target = assemble(folder, cache_dir=packaged_cache)
    assert target.name == f"{folder.name}-{manifest['sha256'][:16]}"
    written = (target / "onnx" / "model.onnx").stat().st_mtime_ns
    monkeypatch.setattr(shipped, "write_cross_encoder", None)
    assert assemble(folder, cache_dir=packaged_cache) == target
    assert (target / "onnx" / "model.onnx").stat().st_mtime_ns == written


def test_a_file_that_is_not_the_one_named_is_refused(small, packaged_cache: Path, tmp_path: Path) -> None:
    folder, manifest, _ = small
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "sha256": "0" * 64}))
    (tmp_path / LAYERS).write_bytes((folder / LAYERS).read_bytes()[:-1])
    with pytest.raises(ModelError, match="get it again"):
        assemble(tmp_path, cache_dir=packaged_cache)


@pytest.mark.parametrize("changed", [{"format": 2}, {"base": "BAAI/bge-base-zh-v1.5"}])
def test_another_format_or_base_is_refused(
    small, packaged_cache: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({**small[1], **changed}))
    with pytest.raises(ModelError, match="update Bothways"):
        assemble(tmp_path, cache_dir=packaged_cache)


def test_weights_that_do_not_fit_are_refused(packaged_cache: Path, tmp_path: Path) -> None:
    weights, config, _ = made_model(packaged_cache, 2)
    layers = without_embeddings(weights)
    for number, (name, array, told) in enumerate(
        [
            ("bert.encoder.layer.0.strange.weight", np.zeros(3, np.float32), "have no place"),
            ("classifier.weight", np.zeros((2, 512), np.float32), "one logit"),
            ("bert.encoder.layer.1.output.dense.bias", np.zeros(7, np.float32), "the shape"),
        ]
    ):
        folder = tmp_path / str(number)
        write_shipped(folder, {**layers, name: array}, config, max_tokens=128)
        with pytest.raises(ModelError, match=told):
            assemble(folder, cache_dir=packaged_cache)
    write_shipped(tmp_path / "less", {k: v for k, v in layers.items() if "key.bias" not in k}, config, max_tokens=128)
    with pytest.raises(ModelError, match="nothing for"):
        assemble(tmp_path / "less", cache_dir=packaged_cache)


def test_numbers_that_fp16_cannot_hold_are_refused(packaged_cache: Path, tmp_path: Path) -> None:
    weights, config, _ = made_model(packaged_cache, 2)
    layers = without_embeddings(weights)
    layers["classifier.bias"] = np.array([1e6], np.float32)
    with pytest.raises(ModelError, match="fp16"):
        write_shipped(tmp_path, layers, config, max_tokens=128)


def test_the_name_says_so_where_the_package_has_no_weights(
    packaged_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path)
    settings = Settings(_env_file=None, cache_dir=packaged_cache, reranker_model=NAME)
    with pytest.raises(ModelError, match="comes without the weights"):
        load_cross_encoder(settings)


def test_the_name_gives_the_one_that_comes_with_the_package(
    small, packaged_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_FOLDER", small[0])
    loaded = load_cross_encoder(Settings(_env_file=None, cache_dir=packaged_cache, reranker_model=NAME))
    assert loaded.name == NAME
    assert len(loaded.score(QUERY, TEXTS)) == 3


def test_torch_weights_are_those_of_base_and_layers(small, packaged_cache: Path) -> None:
    folder, _, model = small
    target = assemble(folder, cache_dir=packaged_cache, torch_weights=True)
    weights = load_file(target / "model.safetensors")
    assert weights.keys() == {name for name, _ in model.named_parameters()}
    base = load_file(packaged_folder(packaged_cache) / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    assert np.array_equal(weights[f"bert.{name}"], base[name])
