import json
import os
from pathlib import Path

import numpy as np
import pytest

from bothways.core.errors import ModelError
from bothways.core.results import Hit
from bothways.core.settings import Settings
from bothways.core.text.passage import passage
from bothways.models.onnx.quantize import quantize_graph
from bothways.models.protocols import Blended, CrossEncoder, LimitedReader
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.search.rank.rerank import Reranker
from bothways.search.rank.window import fitting_passage
from tests.models.tiny_models import TEXTS, cross_encoder_folder, transformers_folder

QUERIES = ["违约 合同", "", "a" * 100]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CrossEncoder]:
    cache_dir = tmp_path_factory.mktemp("cross")
    folder = cross_encoder_folder(cache_dir / "reranker")
    loaded = {}
    for name, backend, precision in (("onnx", "onnx", "fp32"), ("torch", "torch", "fp32"), ("int8", "onnx", "int8")):
        settings = Settings(
            _env_file=None,
            cache_dir=cache_dir,
            reranker_model=str(folder),
            model_backend=backend,
            reranker_precision=precision,
        )
        loaded[name] = load_cross_encoder(settings)
    return loaded


@pytest.mark.parametrize("query", QUERIES)
def test_backends_give_the_same_logits(query: str, pair: dict[str, CrossEncoder]) -> None:
    ours, torchs = pair["onnx"].score(query, TEXTS), pair["torch"].score(query, TEXTS)
    assert np.allclose(ours, torchs, atol=1e-4)
    assert len({round(score, 3) for score in ours}) > 3


def test_int8_is_near_and_is_another_graph(pair: dict[str, CrossEncoder]) -> None:
    whole, quantised = (np.array(pair[name].score("违约 合同", TEXTS)) for name in ("onnx", "int8"))
    assert 0 < np.abs(whole - quantised).max() < 0.15  # of logits that differ by more than 1
    assert np.corrcoef(whole, quantised)[0, 1] > 0.99


def test_the_int8_copy_lies_beside_the_exported_graph_and_is_made_once(pair: dict[str, CrossEncoder]) -> None:
    folder = pair["onnx"]._graph.path.parent
    made = folder / "model.int8.onnx"
    assert pair["int8"]._graph.path == made
    before = made.stat().st_mtime_ns
    assert quantize_graph(folder / "model.onnx", cache_dir=folder.parents[2]) == made
    assert made.stat().st_mtime_ns == before
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".onnx") == ["model.int8.onnx", "model.onnx"]


def test_a_graph_of_the_users_own_is_not_written_beside(pair: dict[str, CrossEncoder], tmp_path: Path) -> None:
    graph = tmp_path / "mine" / "onnx" / "model.onnx"
    graph.parent.mkdir(parents=True)
    graph.write_bytes(pair["onnx"]._graph.path.read_bytes())
    made = quantize_graph(graph, cache_dir=tmp_path / "cache")
    assert made.parent.parent == tmp_path / "cache" / "models" / "exported"
    assert made.parent.name.startswith("mine-")
    assert list(graph.parent.iterdir()) == [graph]
    graph.write_bytes(graph.read_bytes())
    os.utime(graph, ns=(1, 1))
    assert quantize_graph(graph, cache_dir=tmp_path / "cache") != made


def test_what_is_no_graph_cannot_be_quantised(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"cannot be quantised to int8: .*BOTHWAYS_RERANKER_PRECISION=fp32"):
        quantize_graph(tmp_path / "model.onnx", cache_dir=tmp_path)
    assert not list(tmp_path.rglob("*.int8.*onnx*[0-9]"))


def test_auto_is_int8_where_that_can_be_made(
    pair: dict[str, CrossEncoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pair["onnx"]._graph.path.parent
    settings = Settings(_env_file=None, cache_dir=folder.parents[2], reranker_model=str(folder.parents[2] / "reranker"))
    assert settings.reranker_precision == "auto"
    assert load_cross_encoder(settings)._graph.path.name == "model.int8.onnx"

    def cannot(*_: object, **__: object) -> Path:
        raise ModelError("no")

    monkeypatch.setattr("bothways.models.rerank.cross_encoder.quantize_graph", cannot)
    assert load_cross_encoder(settings)._graph.path.name == "model.onnx"
    with pytest.raises(ModelError, match="no"):
        load_cross_encoder(settings.model_copy(update={"reranker_precision": "int8"}))


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_it_says_how_much_it_reads(backend: str, pair: dict[str, CrossEncoder]) -> None:
    reader = pair[backend]
    assert isinstance(reader, LimitedReader)
    assert reader.at_once == {"onnx": 2, "torch": 1}[backend]
    assert reader.pair_tokens == 64 - 3  # [CLS] question [SEP] passage [SEP]
    assert reader.spans("违约 ab") == [(0, 1), (1, 2), (3, 5)]
    assert len(reader.spans("合" * 500)) == 500


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_it_knows_the_share_that_was_measured(backend: str, pair: dict[str, CrossEncoder], tmp_path: Path) -> None:
    assert isinstance(pair[backend], Blended)
    assert pair[backend].alpha is None
    folder = cross_encoder_folder(tmp_path / "measured")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    settings = Settings(_env_file=None, cache_dir=tmp_path, reranker_model=str(folder), model_backend=backend)
    (folder / "config.json").write_text(json.dumps(config | {"rerank_alpha": 0.35}), "utf-8")
    model = load_cross_encoder(settings)
    assert Reranker(model).alpha == 0.35
    for wrong in (1.5, "much", True):
        (folder / "config.json").write_text(json.dumps(config | {"rerank_alpha": wrong}), "utf-8")
        with pytest.raises(ModelError, match="rerank_alpha is a number from 0 to 1"):
            load_cross_encoder(settings)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_long_passage_scores_as_its_best_window(backend: str, pair: dict[str, CrossEncoder]) -> None:
    filler = "见死不救" * 20 + "。"
    text = filler + "违约金请求减少。" + filler
    window = fitting_passage("违约金", "合同", text, pair[backend])
    assert window.startswith("合同\n")
    assert "违约金请求减少。" in window
    assert len(pair[backend].spans("违约金")) + len(pair[backend].spans(window)) <= 61
    scores = Reranker(pair[backend]).score("违约金", [Hit(chunk_id="c", score=1.0, title="合同", text=text)])
    score = scores.logits["c"]
    assert score == pytest.approx(pair[backend].score("违约金", [window])[0], abs=1e-4)
    head = pair[backend].score("违约金", [passage("合同", filler * 3)])[0]
    assert abs(score - head) > 1e-3


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_logits_are_raw_and_in_order(backend: str, pair: dict[str, CrossEncoder]) -> None:
    scores = pair[backend].score("违约 合同", TEXTS)
    assert all(isinstance(score, float) for score in scores)
    assert any(not 0 <= score <= 1 for score in scores)
    assert np.allclose(scores, [pair[backend].score("违约 合同", [text])[0] for text in TEXTS], atol=1e-4)
    assert pair[backend].score("违约", []) == []


def test_unset_is_none(tmp_path: Path) -> None:
    assert load_cross_encoder(Settings(_env_file=None, cache_dir=tmp_path)) is None


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_not_to_be_found_is_a_model_error(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("no-such/reranker", str(tmp_path / "nowhere")):
        with pytest.raises(ModelError, match=r"cannot be found|no model folder"):
            load_cross_encoder(Settings(_env_file=None, cache_dir=tmp_path, reranker_model=name, model_backend=backend))


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_more_labels_or_no_head_are_refused(backend: str, tmp_path: Path) -> None:
    for folder in (cross_encoder_folder(tmp_path / "three", labels=3), transformers_folder(tmp_path / "headless")):
        with pytest.raises(ModelError, match="cross-encoder"):
            load_cross_encoder(
                Settings(_env_file=None, cache_dir=tmp_path, reranker_model=str(folder), model_backend=backend)
            )
