"""Models are loaded once a process of tests, and the embedding model computes a batch once.

Each command that a test types loads its models anew, half a second each, and many tests index the same few files. The
same weights give the same numbers for the same batch, so that nothing is tested less. Tests of the models themselves
(tests/models) are left alone.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import replace

import pytest

from bothways.models.embed import encoder
from bothways.models.onnx import graph
from bothways.models.rerank import cross_encoder

BATCHES = 4000
BYTES = 200_000
"""Larger results, as of models that give a vector for each token, are not kept."""

_graphs = {}


@pytest.fixture(scope="session", autouse=True)
def _warm_models():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "open_graph", lambda path, **how: _open(path, remember=True, **how))
        patch.setattr(cross_encoder, "open_graph", lambda path, **how: _open(path, remember=False, **how))
        yield


def _open(path, *, remember, **how):
    if os.environ.get("PYTEST_CURRENT_TEST", "").startswith("tests/models/"):
        return graph.open_graph(path, **how)
    info = path.stat()
    key = (path, info.st_mtime_ns, info.st_size, how["backend"], tuple(how["outputs"]), graph.cores())
    if key not in _graphs:
        opened = graph.open_graph(path, **how)
        _graphs[key] = replace(opened, compute=_remembering(opened.compute)) if remember else opened
    return _graphs[key]


def _remembering(compute):
    known = OrderedDict()

    def computed(feed):
        key = tuple((name, array.shape, array.tobytes()) for name, array in sorted(feed.items()))
        if key in known:
            known.move_to_end(key)
            return known[key].copy()
        result = compute(feed)
        if result.nbytes <= BYTES:
            known[key] = result.copy()
            if len(known) > BATCHES:
                known.popitem(last=False)
        return result

    return computed
