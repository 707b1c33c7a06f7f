"""Which layers a student of fewer layers begins with."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from bothways.core.errors import ModelError, UsageError
from bothways.learning.reranker.student import chosen_layers, keep_layers
from tests.models.tiny_models import cross_encoder_folder


@pytest.mark.parametrize(
    ("of", "number", "begin_with", "chosen"),
    [
        (4, 2, "lowest", [0, 1]),
        (4, 2, "spread", [1, 3]),
        (4, 2, "ends", [0, 3]),
        (12, 6, "spread", [1, 3, 5, 7, 9, 11]),
        (12, 4, "ends", [0, 4, 7, 11]),
        (4, 1, "ends", [3]),
        (4, 2, "2,4", [1, 3]),
        (4, 4, "ends", [0, 1, 2, 3]),
    ],
)
def test_chosen_layers(of, number, begin_with, chosen):
    assert chosen_layers(of, number, begin_with) == chosen


@pytest.mark.parametrize("begin_with", ["highest", "4,1", "1", "1,5", "1,1", "0,1"])
def test_what_cannot_be_chosen(begin_with):
    with pytest.raises(UsageError, match="2 rising numbers of 1 to 4"):
        chosen_layers(4, 2, begin_with)


def test_more_than_there_are():
    with pytest.raises(ModelError, match="has 4 layers, not 5"):
        chosen_layers(4, 5, "ends")


def test_the_layers_kept_are_those_chosen(tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(cross_encoder_folder(tmp_path / "m")).eval()
    last = model.bert.encoder.layer[1]
    keep_layers(model, 1, "spread")
    assert list(model.bert.encoder.layer) == [last]
    assert model.config.num_hidden_layers == 1
    with torch.no_grad():
        assert model(torch.tensor([[2, 5, 3]])).logits.shape == (1, 1)


def test_models_of_other_kinds():
    with pytest.raises(ModelError, match="where we do not know"):
        keep_layers(type("Odd", (), {"base_model": object()})(), 1, "ends")
