from __future__ import annotations

import base64

import numpy as np
import pytest

from bothways.core.elastic.vectors import from_stored, stored_again, to_stored

VECTOR = np.asarray([1.0, -2.0, 0.1], dtype=np.float32)
PACKED = base64.b64encode(bytes.fromhex("3f800000c00000003dcccccd")).decode()
"""IEEE 754 by hand: 1 is 3f800000, -2 is c0000000, and the float nearest to a tenth is 3dcccccd."""


def test_packed_vectors_are_big_endian_floats_in_base64():
    assert to_stored(VECTOR, packed=True) == PACKED
    assert to_stored(VECTOR, packed=False) == [1.0, -2.0, float(np.float32(0.1))]


@pytest.mark.parametrize("stored", [PACKED, [1, -2.0, 0.1]])
def test_both_forms_are_read(stored):
    read = from_stored(stored)
    assert read.dtype == np.float32
    assert read.tolist() == VECTOR.tolist()
    read += 1  # an array of its own, which may be written to


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("stored", [PACKED, [1.0, -2.0, 0.1]])
def test_a_vector_that_is_written_again_is_the_same(stored, packed):
    again = stored_again(stored, packed=packed)
    assert isinstance(again, str) is packed
    assert from_stored(again).tolist() == VECTOR.tolist()


@pytest.mark.elasticsearch
def test_a_server_gives_back_what_it_was_sent(es, collection):
    client, server = es
    index = f"bothways-{collection}-v1"
    client.indices.create(
        index=index, mappings={"properties": {"v": {"type": "dense_vector", "dims": 3, "similarity": "dot_product"}}}
    )
    unit = VECTOR / np.linalg.norm(VECTOR)
    for packed in {server.takes_packed_vectors, False}:
        client.index(index=index, document={"v": to_stored(unit, packed=packed)}, refresh=True)
    found = client.search(index=index, source_includes=["v"])["hits"]["hits"]
    assert len(found) == 1 + server.takes_packed_vectors
    for hit in found:
        assert from_stored(hit["_source"]["v"]).tolist() == unit.tolist()
