from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError
from core.models.cross_encoder import load_cross_encoder
from core.models.protocols import CrossEncoder
from core.settings import Settings
from tests.core.tiny_models import TEXTS, cross_encoder_folder, transformers_folder

QUERIES = ["违约 合同", "", "a" * 100]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CrossEncoder]:
    cache_dir = tmp_path_factory.mktemp("cross")
    folder = cross_encoder_folder(cache_dir / "reranker")
    loaded = {}
    for backend in ("onnx", "torch"):
        settings = Settings(_env_file=None, cache_dir=cache_dir, reranker_model=str(folder), model_backend=backend)
        loaded[backend] = load_cross_encoder(settings)
    return loaded


@pytest.mark.parametrize("query", QUERIES)
def test_backends_give_the_same_logits(query: str, pair: dict[str, CrossEncoder]) -> None:
    ours, torchs = pair["onnx"].score(query, TEXTS), pair["torch"].score(query, TEXTS)
    assert np.allclose(ours, torchs, atol=1e-4)
    assert len({round(score, 3) for score in ours}) > 3


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
