import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bothways.core.errors import MissingExtraError, ModelError
from bothways.core.settings import Settings
from bothways.models.embed.encoder import load_encoder
from bothways.models.embed.onnx_encoder import OnnxEncoder, pool
from bothways.models.files.folder import Pooling, read_max_tokens, read_pooling
from bothways.models.files.packaged import packaged_folder
from bothways.models.onnx.export import export_graph
from bothways.models.onnx.first_token import first_token_graph
from bothways.models.onnx.graph import Graph, at_once, open_graph
from bothways.models.onnx.tokens import Batch, plan
from bothways.models.protocols import Encoder
from tests.models.tiny_models import TEXTS, sentence_transformers_folder, transformers_folder

MIXED = [
    "路上有人晕倒我不救会怎样？",
    "",
    "Liability for breach of contract, APP 合同",
    "违约金过高的，人民法院可以根据当事人的请求予以适当减少。" * 40,
    "a",
    "合同",
    "民法典第五百八十五条 " * 9,
]


def set_up(cache_dir: Path, **values: object) -> Settings:
    return Settings(_env_file=None, cache_dir=cache_dir, **values)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(axis=1)


@pytest.fixture(scope="session")
def packaged_onnx(model_cache: Path) -> Encoder:
    return load_encoder(set_up(model_cache))


@pytest.fixture(scope="session")
def packaged_torch(model_cache: Path) -> Encoder:
    return load_encoder(set_up(model_cache, model_backend="torch"))


@pytest.fixture(scope="session")
def mean_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "mean"
    return sentence_transformers_folder(folder, pooling="mean", normalize=False, query="问")


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_backends_give_the_same_vectors(packaged_onnx: Encoder, packaged_torch: Encoder) -> None:
    ours, torchs = packaged_onnx.encode_documents(MIXED), packaged_torch.encode_documents(MIXED)
    assert ours.shape == torchs.shape == (len(MIXED), 512)
    assert ours.dtype == torchs.dtype == np.float32
    assert cosines(ours, torchs).min() >= 0.9999
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def test_order_is_kept_and_equal_texts_are_equal(packaged_onnx: Encoder) -> None:
    alone = np.concatenate([packaged_onnx.encode_documents([text]) for text in MIXED])
    assert cosines(packaged_onnx.encode_documents(MIXED), alone).min() >= 0.9999
    twice = packaged_onnx.encode_documents(["合同", "a", "合同"])
    assert np.array_equal(twice[0], twice[2])
    assert not np.allclose(twice[0], twice[1])


@pytest.mark.parametrize("backend", ["packaged_onnx", "packaged_torch"])
def test_no_texts_give_no_vectors(backend: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(backend)
    assert encoder.encode_documents([]).shape == (0, 512)
    assert encoder.encode_queries([]).shape == (0, 512)
    assert (encoder.name, encoder.dimension) == ("BAAI/bge-small-zh-v1.5", 512)


def test_threads_share_an_encoder(packaged_onnx: Encoder) -> None:
    expected = packaged_onnx.encode_queries(MIXED)
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(packaged_onnx.encode_queries(MIXED))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.allclose(result, expected, atol=1e-5) for result in results)


def test_a_graph_computes_as_many_batches_at_once_as_it_has_turns() -> None:
    """Six threads, two turns, each batch 20 ms: never more than two at work, and all get their numbers."""
    at_work, most = [], []

    def compute(feed: dict[str, np.ndarray]) -> np.ndarray:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.02)
        at_work.pop()
        return feed["input_ids"].astype(np.float32)

    graph = Graph(path=Path("g"), inputs=frozenset({"input_ids"}), compute=compute, turns=threading.BoundedSemaphore(2))
    ones = np.ones((1, 3), np.int64)
    with ThreadPoolExecutor(6) as pool:
        results = list(
            pool.map(graph.run, [Batch(positions=(0,), ids=ones * n, mask=ones, types=ones) for n in range(6)])
        )
    assert max(most) == 2
    assert [int(result[0, 0]) for result in results] == list(range(6))


def test_a_failed_batch_gives_its_turn_back() -> None:
    def compute(_: dict[str, np.ndarray]) -> np.ndarray:
        raise ValueError("broken")

    graph = Graph(path=Path("g"), inputs=frozenset(), compute=compute, turns=threading.BoundedSemaphore(1))
    ones = np.ones((1, 3), np.int64)
    for _ in range(3):
        with pytest.raises(ModelError, match="broken"):
            graph.run(Batch(positions=(0,), ids=ones, mask=ones, types=ones))


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 1), (4, 2), (16, 8)])
def test_batches_at_once_by_cores(count: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.models.onnx.graph.cores", lambda: count)
    assert at_once() == expected


def test_torch_is_not_imported_on_the_onnx_path(model_cache: Path) -> None:
    code = (
        "import sys; from bothways.core.settings import Settings\n"
        "from bothways.models.embed.encoder import load_encoder\n"
        "from bothways.models.rerank.cross_encoder import load_cross_encoder\n"
        f"s = Settings(_env_file=None, cache_dir={str(model_cache)!r}); load_encoder(s).encode_queries(['合同'])\n"
        "load_cross_encoder(s)\n"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_first_token_graph_computes_the_same(model_cache: Path, tmp_path: Path) -> None:
    path = packaged_folder(model_cache) / "onnx" / "model.onnx"
    cut = first_token_graph(path, cache_dir=tmp_path)
    written = cut.stat().st_mtime_ns
    whole, small = (open_graph(one, backend="onnx", outputs=["last_hidden_state"]) for one in (path, cut))
    ids = np.array([[101, 700, 800, 102], [101, 900, 102, 0]])
    batch = Batch(positions=(0, 1), ids=ids, mask=(ids > 0).astype(np.int64), types=np.zeros_like(ids))
    assert small.run(batch).shape == (2, 1, 512)
    assert np.allclose(small.run(batch), whole.run(batch)[:, :1], atol=1e-4)
    assert first_token_graph(path, cache_dir=tmp_path) == cut
    assert cut.stat().st_mtime_ns == written


@pytest.mark.parametrize("model", [b"", b"no protobuf at all", b"\x3a\xff\xff\xff\xff\x0f"])
def test_what_is_no_graph_is_left_alone(model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    for _ in range(2):
        assert first_token_graph(path, cache_dir=tmp_path / "cache") == path


def test_without_a_cache_to_write_the_whole_graph_runs(model_cache: Path, tmp_path: Path) -> None:
    path = packaged_folder(model_cache) / "onnx" / "model.onnx"
    (tmp_path / "models").touch()  # no folder can be made here
    assert first_token_graph(path, cache_dir=tmp_path) == path


def test_plan_sorts_by_length_and_keeps_to_the_budget() -> None:
    assert list(plan([2, 9, 4, 4, 3, 30], max_tokens=12)) == [[5], [1], [2, 3, 4], [0]]
    assert list(plan([], max_tokens=12)) == []


def test_batches_hold_texts_of_one_length(model_cache: Path) -> None:
    """Fifty short and fifty long texts, alternating: a fake graph counts what is computed."""
    shapes: list[tuple[int, ...]] = []

    def compute(feed: dict[str, np.ndarray]) -> np.ndarray:
        shapes.append(feed["input_ids"].shape)
        return np.repeat(feed["input_ids"][:, 1:2, np.newaxis], 512, axis=2).astype(np.float32)

    graph = Graph(path=Path("fake"), inputs=frozenset({"input_ids"}), compute=compute)
    encoder = OnnxEncoder(
        "fake", packaged_folder(model_cache), graph, Pooling("cls"), query_prompt="", max_batch_tokens=1000
    )
    shapes.clear()
    texts = [chr(0x4E00 + i) * (3 if i % 2 else 98) for i in range(100)]
    encoder.encode_documents([*texts, *texts])
    assert shapes == [(10, 100)] * 5 + [(50, 5)]


def test_pooling_by_hand() -> None:
    tokens = np.array([[[3, 4], [1, 0], [9, 9]]], np.float32)
    mask = np.array([[1, 1, 0]])
    batch = Batch(positions=(0,), ids=mask, mask=mask, types=mask)
    assert np.allclose(pool(tokens, batch, Pooling("cls")), [[0.6, 0.8]])
    assert np.allclose(pool(tokens, batch, Pooling("mean")), [[2**-0.5, 2**-0.5]])  # (4, 4) / 2


def test_mean_pooling_through_an_export(mean_folder: Path, tiny_cache: Path) -> None:
    ours = load_encoder(set_up(tiny_cache, embedding_model=str(mean_folder)))
    torchs = load_encoder(set_up(tiny_cache, embedding_model=str(mean_folder), model_backend="torch"))
    assert ours.dimension == torchs.dimension == 32
    assert cosines(ours.encode_documents(TEXTS), torchs.encode_documents(TEXTS)).min() >= 0.999
    queries = ours.encode_queries(TEXTS)
    assert cosines(queries, torchs.encode_queries(TEXTS)).min() >= 0.999
    assert cosines(queries, ours.encode_documents(["问" + text for text in TEXTS])).min() >= 0.999


def test_export_is_kept(mean_folder: Path, tiny_cache: Path) -> None:
    first = export_graph(mean_folder, "encoder", cache_dir=tiny_cache)
    written = first.stat().st_mtime_ns
    assert export_graph(mean_folder, "encoder", cache_dir=tiny_cache) == first
    assert first.stat().st_mtime_ns == written


def test_cls_pooling_through_an_export(tmp_path: Path, tiny_cache: Path) -> None:
    folder = str(sentence_transformers_folder(tmp_path / "cls", pooling="cls", normalize=True))
    ours = load_encoder(set_up(tiny_cache, embedding_model=folder))
    torchs = load_encoder(set_up(tiny_cache, embedding_model=folder, model_backend="torch"))
    assert cosines(ours.encode_documents(TEXTS), torchs.encode_documents(TEXTS)).min() >= 0.999


def test_query_prompt_of_the_settings_wins(mean_folder: Path, tiny_cache: Path) -> None:
    encoder = load_encoder(set_up(tiny_cache, embedding_model=str(mean_folder), query_prompt=""))
    assert np.allclose(encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS), atol=1e-6)


def test_folder_of_transformers_alone_is_pooled_by_mean(tmp_path: Path) -> None:
    assert read_pooling(transformers_folder(tmp_path / "plain")) == Pooling("mean")
    assert read_max_tokens(tmp_path / "plain") == 64


@pytest.mark.parametrize("pooling", ["max", "lasttoken"])
def test_other_pooling_is_refused_with_the_way_out(pooling: str, tmp_path: Path) -> None:
    folder = sentence_transformers_folder(tmp_path / "other", pooling=pooling, normalize=False)
    with pytest.raises(ModelError, match="MODEL_BACKEND=torch"):
        load_encoder(set_up(tmp_path, embedding_model=str(folder)))


def test_other_modules_are_refused_with_the_way_out(tmp_path: Path) -> None:
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": ""} for kind in ("Transformer", "Dense")]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=r"Transformer, Dense.*MODEL_BACKEND=torch"):
        read_pooling(tmp_path)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_missing_name_fails_soon(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    start = time.monotonic()
    with pytest.raises(ModelError, match="no-such/model cannot be found"):
        load_encoder(set_up(tmp_path, embedding_model="no-such/model", model_backend=backend))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("file", ["onnx/model.onnx", "tokenizer.json", "modules.json"])
def test_corrupt_file_is_named(file: str, model_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for path in packaged_folder(model_cache).rglob("*.*"):
        if path.is_file() and path.suffix != ".safetensors":
            target = folder / path.relative_to(packaged_folder(model_cache))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    (folder / file).unlink()
    (folder / file).write_bytes(b"{ broken")
    with pytest.raises(ModelError, match=Path(file).name):
        load_encoder(set_up(tmp_path, embedding_model=str(folder)))


def test_broken_torch_weights_are_a_model_error(tmp_path: Path) -> None:
    folder = transformers_folder(tmp_path / "plain")
    (folder / "model.safetensors").write_bytes(b"broken")
    for backend in ("torch", "onnx"):
        with pytest.raises(ModelError, match="cannot be"):
            load_encoder(set_up(tmp_path, embedding_model=str(folder), model_backend=backend))


def test_missing_extras_say_how_to_install(model_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = transformers_folder(tmp_path / "plain")
    for module in ("sentence_transformers", "openvino", "torch"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"bothways\[torch\]"):
        load_encoder(set_up(model_cache, model_backend="torch"))
    with pytest.raises(MissingExtraError, match=r"bothways\[openvino\]"):
        load_encoder(set_up(model_cache, model_backend="openvino"))
    with pytest.raises(MissingExtraError, match=r"bothways\[torch\]"):
        load_encoder(set_up(tmp_path, embedding_model=str(folder)))
