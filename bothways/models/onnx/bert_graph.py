"""A cross-encoder's ONNX graph made of an embedding model's: new layers and a new head around the old embeddings.

The packaged model's graph and a BERT's named weights go in, a graph with one logit a pair comes out; torch is not
needed. The export kept the parameters' names, and a matrix is known by the node that uses it
(`bothways.models.onnx.weights` reads the same graph the other way round).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.core.errors import ModelError
from bothways.models.onnx.first_token import keep_first_token

Weights = Mapping[str, npt.NDArray[np.float32]]

PREFIX = "bert."
"""In front of the names of a BERT's own parameters where it has a head (transformers)."""
HEAD = ("bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias")
_LAYER = re.compile(r"/encoder/layer\.(\d+)/")
_FIRST = "bothways.zero"


def layers_of(weights: Weights) -> int:
    """Return how many transformer layers named weights hold; raise `ModelError` if their numbers have a gap."""
    found = {int(m[1]) for name in weights if (m := re.match(r"bert\.encoder\.layer\.(\d+)\.", name))}
    if not found or found != set(range(len(found))):
        raise ModelError(f"The weights hold the layers {sorted(found)}, which is no row from 0 on.")
    return len(found)


def write_cross_encoder(base: Path, weights: Weights, target: Path) -> None:
    """Write the graph of the cross-encoder with the embeddings of `base` and all else from `weights`.

    `weights` are those of transformers' BertForSequenceClassification with one label, without embeddings. They may have
    fewer layers than the base; all of them have to find their place. Raise `ModelError` if the graphs do not fit.
    """
    import onnx  # here: it takes 17 MB, and only the first start needs it
    from onnx import helper

    model = onnx.load(base)
    graph = model.graph
    layers = layers_of(weights)
    ends = [node.output[0] for node in graph.node if _layer(node) == layers - 1]
    if not ends:
        raise ModelError(f"The base model has fewer than the {layers} layers of the weights.")
    nodes = [node for node in graph.node if (layer := _layer(node)) is None or layer < layers]
    tensors = list(_initializers(graph.initializer, nodes, weights))
    smaller = helper.make_graph(nodes, graph.name, graph.input, [], initializer=tensors)
    keep_first_token(smaller)
    _add_head(smaller, ends[-1], weights)
    graph.CopyFrom(smaller)
    onnx.save(model, target)


def _layer(node: Any) -> int | None:  # noqa: ANN401 - onnx is untyped here
    found = _LAYER.match(node.name)
    return int(found[1]) if found else None


def _initializers(tensors: Iterable[Any], nodes: list[Any], weights: Weights) -> Iterable[Any]:
    """Yield the tensors that the nodes use, new where the weights have one for that place."""
    from onnx import numpy_helper

    used = {name for node in nodes for name in node.input}
    places = _places(nodes, used, weights)
    for tensor in tensors:
        name = tensor.name
        if name in places:
            weight, transposed = places[name]
            array = weights[weight].T if transposed else weights[weight]
            if list(array.shape) != list(tensor.dims):
                raise ModelError(
                    f"{weight} has the shape {list(array.shape)}, the base model needs {list(tensor.dims)} there."
                )
            yield numpy_helper.from_array(array.astype(np.float32), name)
        elif name in used and name.startswith(("encoder.", "onnx::MatMul")):
            raise ModelError(f"The weights have nothing for {name} of the base model.")
        elif name in used:
            yield tensor


def _places(nodes: list[Any], used: set[str], weights: Weights) -> dict[str, tuple[str, bool]]:
    """Return by initializer the weight that takes its place, and whether it is transposed."""
    places = {
        name.removeprefix(PREFIX): (name, False)
        for name in weights
        if name not in HEAD and name.removeprefix(PREFIX) in used
    }
    for node in nodes:
        if node.op_type == "MatMul" and _layer(node) is not None:
            name = PREFIX + node.name.strip("/").removesuffix("/MatMul").replace("/", ".") + ".weight"
            if name in weights:
                places[node.input[1]] = name, True
    found = {name for name, _ in places.values()}
    strange = [name for name in weights if name not in found and name not in HEAD]
    missing = [name for name in HEAD if name not in weights]
    if strange or missing:
        raise ModelError(
            f"The weights do not fit the base model: {', '.join((strange + missing)[:3])} "
            f"{'have no place in it' if strange else 'are missing'}."
        )
    return places


def _add_head(graph: Any, hidden: str, weights: Weights) -> None:  # noqa: ANN401
    """Add what follows the last layer: the first token's vector, dense and tanh (the pooler), dense (the logit)."""
    from onnx import TensorProto, helper, numpy_helper

    pooler, pooler_bias, classifier, classifier_bias = (weights[name] for name in HEAD)
    if classifier.shape != (1, pooler.shape[0]):
        raise ModelError(f"classifier.weight has the shape {list(classifier.shape)}: a reranker gives one logit.")
    node = helper.make_node
    graph.node.extend(
        [
            node("Gather", [hidden, _FIRST], ["bothways.first"], "/bert/pooler/Gather", axis=1),
            node("MatMul", ["bothways.first", "bothways.pooler"], ["bothways.pooled"], "/bert/pooler/dense/MatMul"),
            node("Add", ["bothways.pooled", "bothways.pooler_bias"], ["bothways.dense"], "/bert/pooler/dense/Add"),
            node("Tanh", ["bothways.dense"], ["bothways.tanh"], "/bert/pooler/activation/Tanh"),
            node("MatMul", ["bothways.tanh", "bothways.classifier"], ["bothways.product"], "/classifier/MatMul"),
            node("Add", ["bothways.product", "bothways.classifier_bias"], ["logits"], "/classifier/Add"),
        ]
    )
    arrays = {
        _FIRST: np.array(0, np.int64),
        "bothways.pooler": pooler.T,
        "bothways.pooler_bias": pooler_bias,
        "bothways.classifier": classifier.T,
        "bothways.classifier_bias": classifier_bias,
    }
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", 1]))
