"""A segmentation model by folder: a real, tiny one, whose answers are known because its weights are set by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from transformers import BertForTokenClassification

from bothways.core.datatypes import Document
from bothways.core.errors import MissingExtraError, ModelError
from bothways.core.settings import load_settings
from bothways.indexer.chunk import chunk
from bothways.indexer.chunk.segmentation import SegmentationModel, _nearest
from tests.models.tiny_models import VOCABULARY, _config, _save

PLAIN, LAST = "违约金。", "合同救。"


def folder_of(folder: Path, labels: dict[int, str]) -> Path:
    """A model that gives label 1 to 救 and label 0 to all else, whatever stands around it.

    All weights but the embeddings' are 0, so that the layers pass a token's own state through.
    """
    model = BertForTokenClassification(_config(id2label=labels, label2id={name: i for i, name in labels.items()}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
        words = model.bert.embeddings.word_embeddings.weight
        words[:, 0], words[:, 1] = 1, -1
        words[VOCABULARY.index("救"), 0], words[VOCABULARY.index("救"), 1] = -1, 1
        model.classifier.weight[0, 0] = model.classifier.weight[1, 1] = 1
    return _save(model, folder)


def load(folder: Path) -> SegmentationModel:
    return SegmentationModel(load_settings(segmentation_model=str(folder)))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SegmentationModel:
    return load(folder_of(tmp_path_factory.mktemp("model") / "segments", {0: "O", 1: "separator"}))


def test_a_segment_ends_after_the_sentence_with_the_mark(model) -> None:
    assert model([PLAIN, LAST, PLAIN, PLAIN, LAST, PLAIN]) == [1, 4]


def test_the_end_of_the_text_and_no_mark_are_no_turn(model) -> None:
    assert model([PLAIN, LAST]) == []
    assert model([PLAIN, PLAIN]) == []


def test_a_text_longer_than_the_model_takes_is_read_to_its_end(model) -> None:
    """The model has 64 positions, the text 1,000 tokens: every tenth sentence of four ends a segment."""
    texts = [LAST if number % 10 == 9 else PLAIN for number in range(250)]
    assert model(texts) == [*range(9, 249, 10)]


def test_labels_without_names_count_by_number(tmp_path) -> None:
    assert load(folder_of(tmp_path / "named", {0: "LABEL_0", 1: "LABEL_1"}))([LAST, PLAIN, PLAIN]) == [0]


def test_chunks_are_its_segments(model) -> None:
    document = Document(
        doc_id="id", title="题", blocks=(PLAIN * 8 + LAST + PLAIN * 9 + LAST + PLAIN * 6,), source="a.txt"
    )
    chunks = chunk([document], "semantic", max_chars=60, segmentation=lambda: model)
    assert [piece.text for piece in chunks] == [PLAIN * 8 + LAST, PLAIN * 9 + LAST, PLAIN * 6]


@pytest.mark.parametrize(("mark", "number"), [(10, 0), (12, 0), (15, 0), (16, 1), (20, 1), (99, 1), (4, -1), (5, -1)])
def test_a_mark_counts_for_the_nearest_end(mark, number) -> None:
    assert _nearest([10, 20], mark) == number


def test_a_folder_that_is_no_model_is_named(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path)


def test_without_the_extra_the_install_line_is_given(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "bothways\[torch\]"'):
        load(tmp_path)
