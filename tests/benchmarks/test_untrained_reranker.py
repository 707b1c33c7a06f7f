"""The reranker that benchmarks time with is the same in every run, and one that our loader takes."""

from benchmarks.models.untrained_reranker import reranker_folder
from bothways.core.settings import load_settings
from bothways.models.rerank.cross_encoder import load_cross_encoder
from tests.models.tiny_models import transformers_folder


def test_it_is_the_same_each_time_and_can_be_loaded(tmp_path):
    source = transformers_folder(tmp_path / "encoder")
    weights = []
    for name in ("one", "other"):
        chosen = load_settings(embedding_model=str(source), cache_dir=tmp_path / name)
        (tmp_path / name / "models").mkdir(parents=True)
        folder = reranker_folder(chosen)
        assert reranker_folder(chosen) == folder
        weights.append((folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    scores = load_cross_encoder(load_settings(reranker_model=str(folder), cache_dir=chosen.cache_dir)).score(
        "合同", ["违约金", "见死不救"]
    )
    assert len(scores) == 2
    assert scores[0] != scores[1]


def test_a_trained_one_takes_its_place(tmp_path):
    trained = transformers_folder(tmp_path / "trained")
    (trained / "onnx").mkdir()
    (trained / "onnx" / "model.onnx").write_bytes(b"graph")
    assert reranker_folder(load_settings(reranker_model=str(trained), cache_dir=tmp_path)) == trained
