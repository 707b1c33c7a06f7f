"""A cross-encoder's ONNX graph made of an embedding model's: new layers and a new head around the old embeddings.

The bytes of the packaged model's graph and a BERT's named weights go in, those of a graph with one logit a pair come
out. Neither torch nor the `onnx` package is needed: the export kept the parameters' names, and a matrix can be told
by the node that uses it (`bothways.models.onnx.weights` reads the same graph the other way round).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bothways.core.errors import ModelError
from bothways.models.embed.first_token import keep_first_token
from bothways.models.onnx.wire import (
    GRAPH_INITIALIZER,
    GRAPH_NODE,
    GRAPH_OUTPUT,
    GRAPH_VALUE_INFO,
    MODEL_GRAPH,
    NODE_ATTRIBUTE,
    NODE_INPUT,
    NODE_NAME,
    NODE_OP,
    NODE_OUTPUT,
    Field,
    message,
    number,
    read_fields,
    text,
)

Weights = Mapping[str, npt.NDArray[np.float32]]

PREFIX = "bert."
"""In front of the names of a BERT's own parameters where it has a head (transformers)."""
HEAD = ("bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias")
_LAYER = re.compile(r"/encoder/layer\.(\d+)/")
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT, _INT64 = 1, 7
_FIRST = "bothways.zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    field: Field
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def layer(self) -> int | None:
        found = _LAYER.match(self.name)
        return int(found[1]) if found else None


def layers_of(weights: Weights) -> int:
    """Count the transformer layers that named weights hold; raises `ModelError` where there is none."""
    found = {int(m[1]) for name in weights if (m := re.match(r"bert\.encoder\.layer\.(\d+)\.", name))}
    if not found or found != set(range(len(found))):
        raise ModelError(f"The weights hold the layers {sorted(found)}, which is no row from 0 on.")
    return len(found)


def cross_encoder_graph(base: bytes, weights: Weights) -> bytes:
    """Give the graph of the cross-encoder with the embeddings of `base` and all else from `weights`.

    `weights` are those of transformers' BertForSequenceClassification with one label, without embeddings. They may have
    fewer layers than the base; all of them have to find their place. Raises `ModelError` where the graphs do not fit.
    """
    top = list(read_fields(memoryview(base)))
    graph = list(read_fields(next(field.value for field in top if field.number == MODEL_GRAPH)))
    nodes = {i: _read_node(field) for i, field in enumerate(graph) if field.number == GRAPH_NODE}
    layers = layers_of(weights)
    ends = [node.outputs[0] for node in nodes.values() if node.layer == layers - 1]
    if not ends:
        raise ModelError(f"The base model has fewer than the {layers} layers of the weights.")
    kept = {i: node for i, node in nodes.items() if node.layer is None or node.layer < layers}
    places = _places(list(kept.values()), weights)
    used = {name for node in kept.values() for name in node.inputs}
    parts: list[bytes | memoryview] = []
    for i, field in enumerate(graph):
        if field.number == GRAPH_INITIALIZER:
            parts += _initializer(field, used, places, weights)
        elif field.number not in {GRAPH_OUTPUT, GRAPH_VALUE_INFO} and (field.number != GRAPH_NODE or i in kept):
            parts.append(field.raw)
    body = b"".join(parts)
    smaller = keep_first_token(message(MODEL_GRAPH, body))
    if smaller is not None:
        body = bytes(next(read_fields(memoryview(smaller))).value)
    body += _head(ends[-1], weights)
    return b"".join(message(MODEL_GRAPH, body) if field.number == MODEL_GRAPH else field.raw for field in top)


def _read_node(field: Field) -> _Node:
    texts: dict[int, list[str]] = {NODE_INPUT: [], NODE_OUTPUT: [], NODE_NAME: [], NODE_OP: []}
    for part in read_fields(field.value):
        if part.number in texts:
            texts[part.number].append(str(part.value, "utf-8"))
    name, op = "".join(texts[NODE_NAME]), "".join(texts[NODE_OP])
    return _Node(field=field, name=name, op=op, inputs=tuple(texts[NODE_INPUT]), outputs=tuple(texts[NODE_OUTPUT]))


def _places(nodes: list[_Node], weights: Weights) -> dict[str, tuple[str, bool]]:
    """Name by initializer the weight that takes its place, and whether it is transposed; refuses what has no place."""
    inputs = {name for node in nodes for name in node.inputs}
    places = {
        name.removeprefix(PREFIX): (name, False)
        for name in weights
        if name not in HEAD and name.removeprefix(PREFIX) in inputs
    }
    for node in nodes:
        if node.op == "MatMul" and node.layer is not None:
            name = PREFIX + node.name.strip("/").removesuffix("/MatMul").replace("/", ".") + ".weight"
            if name in weights:
                places[node.inputs[1]] = name, True
    found = {name for name, _ in places.values()}
    strange = [name for name in weights if name not in found and name not in HEAD]
    missing = [name for name in HEAD if name not in weights]
    if strange or missing:
        raise ModelError(
            f"The weights do not fit the base model: {', '.join((strange + missing)[:3])} "
            f"{'have no place in it' if strange else 'are missing'}."
        )
    return places


def _initializer(field: Field, used: set[str], places: Mapping[str, tuple[str, bool]], weights: Weights) -> list[bytes]:
    dims, name = [], ""
    for part in read_fields(field.value):
        if part.number == _TENSOR_NAME:
            name = str(part.value, "utf-8")
        elif part.number == _TENSOR_DIMS:
            dims.append(int.from_bytes(part.value, "little") if len(part.value) == 1 else _varint(part.value))
    if name not in used:
        return []
    if name not in places:
        if name.startswith(("encoder.", "onnx::MatMul")):
            raise ModelError(f"The weights have nothing for {name} of the base model.")
        return [bytes(field.raw)]
    weight, transposed = places[name]
    array = weights[weight].T if transposed else weights[weight]
    if list(array.shape) != dims:
        raise ModelError(f"{weight} has the shape {list(array.shape)}, the base model wants {dims} there.")
    return [_tensor(name, array)]


def _varint(value: memoryview) -> int:
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(value))


def _tensor(name: str, array: npt.NDArray[np.float32]) -> bytes:
    dims = b"".join(number(_TENSOR_DIMS, size) for size in array.shape)
    raw = np.ascontiguousarray(array, "<f4").tobytes()
    return message(GRAPH_INITIALIZER, dims + number(_TENSOR_TYPE, _FLOAT) + text(_TENSOR_NAME, name) + message(9, raw))


def _head(hidden: str, weights: Weights) -> bytes:
    """Write what follows the last layer: the first token's vector, dense and tanh (the pooler), dense (the logit)."""
    pooler, pooler_bias, classifier, classifier_bias = (weights[name] for name in HEAD)
    if classifier.shape != (1, pooler.shape[0]):
        raise ModelError(f"classifier.weight has the shape {list(classifier.shape)}: a reranker gives one logit.")
    axis = message(NODE_ATTRIBUTE, text(1, "axis") + number(3, 1) + number(20, 2))  # name, i, type INT
    zero = number(_TENSOR_TYPE, _INT64) + text(_TENSOR_NAME, _FIRST) + message(_TENSOR_RAW, bytes(8))
    batch = message(1, text(2, "batch_size")) + message(1, number(1, 1))  # dimensions: by name, by value
    kind = message(1, number(1, _FLOAT) + message(2, batch))  # a tensor of type and shape
    return b"".join(
        [
            _node("Gather", "/bert/pooler/Gather", [hidden, _FIRST], "bothways.first", axis),
            _node("MatMul", "/bert/pooler/dense/MatMul", ["bothways.first", "bothways.pooler"], "bothways.pooled"),
            _node("Add", "/bert/pooler/dense/Add", ["bothways.pooled", "bothways.pooler_bias"], "bothways.dense"),
            _node("Tanh", "/bert/pooler/activation/Tanh", ["bothways.dense"], "bothways.tanh"),
            _node("MatMul", "/classifier/MatMul", ["bothways.tanh", "bothways.classifier"], "bothways.product"),
            _node("Add", "/classifier/Add", ["bothways.product", "bothways.classifier_bias"], "logits"),
            message(GRAPH_INITIALIZER, zero),
            _tensor("bothways.pooler", pooler.T),
            _tensor("bothways.pooler_bias", pooler_bias),
            _tensor("bothways.classifier", classifier.T),
            _tensor("bothways.classifier_bias", classifier_bias),
            message(GRAPH_OUTPUT, text(1, "logits") + message(2, kind)),
        ]
    )


def _node(op: str, name: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    body = b"".join(text(NODE_INPUT, one) for one in inputs) + text(NODE_OUTPUT, output)
    return message(GRAPH_NODE, body + text(NODE_NAME, name) + text(NODE_OP, op) + attributes)
