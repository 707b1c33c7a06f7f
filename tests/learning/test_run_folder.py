"""Folders of long runs: those of the version before are resumed as well."""

from __future__ import annotations

import json

import pytest

from bothways.core.errors import UsageError
from bothways.learning.distill.state import begin_logits
from bothways.learning.reranker.state import begin
from bothways.learning.run_folder import RunFolder
from bothways.learning.training_arguments import RerankerArguments

ARGUMENTS = {
    "base": "x", "epochs": 1.0, "batch_size": 8, "learning_rate": 5e-05, "max_length": 160, "loss": "listwise",
    "layers": None, "freeze_embeddings": True, "seed": 42, "patience": 3, "evaluations": 8, "begin_with": "lowest",
    "accumulation": 1, "temperature": 1.0, "hard_label": 0.0, "residual": 0.0,
}  # fmt: skip


def test_a_training_that_the_version_before_began(tmp_path):
    folder = tmp_path / "training"
    folder.mkdir()
    state = {"arguments": ARGUMENTS, "sources": {"negatives": 5, "margin": 2, "general": ["cmrc"]}, "groups_sha256": ""}
    rest = {"counts": {}, "untrained": {"map": 0.5}, "sessions": [], "command": "bothways learn reranker"}
    (folder / "training.json").write_text(json.dumps({**state, **rest}))
    sources = {"negatives": 5, "margin": 2.0, "general": ("cmrc",)}
    training = begin(tmp_path, RerankerArguments(base="x"), sources, command="", resume=True)
    assert (training.untrained, training.command) == ({"map": 0.5}, "bothways learn reranker")
    with pytest.raises(UsageError, match="seed was 42, is 7"):
        begin(tmp_path, RerankerArguments(base="x", seed=7), sources, command="", resume=True)


def test_a_distillation_that_the_version_before_began(tmp_path):
    folder = tmp_path / "distillation"
    folder.mkdir()
    state = {"facts": {"teacher": {"name": "t"}}, "counts": {"groups": 3}, "command": "c"}
    (folder / "distillation.json").write_text(json.dumps(state))
    assert begin_logits(tmp_path, {"teacher": {"name": "t"}}, command="", resume=True).counts == {"groups": 3}


def test_a_state_that_is_no_object(tmp_path):
    (tmp_path / "run.json").write_text("3")
    with pytest.raises(UsageError, match=r"run\.json cannot be read"):
        RunFolder(out=tmp_path, state="run.json", kind="run").read()
