from __future__ import annotations

import numpy as np
import pytest

from bothways.search.query.asking import mix

EAST = np.array([1, 0], dtype=np.float32)
NORTH = np.array([0, 1], dtype=np.float32)


@pytest.mark.parametrize(
    ("weight", "mean"),
    [(0, [1, 0]), (0.5, [0.7071068, 0.7071068]), (0.25, [3 / 10**0.5, 1 / 10**0.5]), (1, [0, 1])],
)
def test_question_and_pseudo_document_make_one_vector_of_length_one(weight, mean):
    vector = mix(EAST, NORTH, weight=weight)
    assert vector == pytest.approx(mean)
    assert vector.dtype == np.float32


def test_vectors_that_cancel_each_other_leave_the_question():
    assert mix(EAST, -EAST, weight=0.5) is EAST
