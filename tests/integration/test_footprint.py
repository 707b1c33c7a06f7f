"""What a server that has answered a search holds in memory: nothing of torch, nor what only evaluation needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.models.embed.encoder import load_encoder
from bothways.models.rerank.cross_encoder import load_cross_encoder
from tests.fakes import make_parts
from tests.models.tiny_models import cross_encoder_folder

pytestmark = pytest.mark.elasticsearch

HEAVY = ("torch", "transformers", "sentence_transformers", "sklearn", "scipy", "matplotlib", "onnx", "pandas")

SERVED = """
import json, sys
from fastapi.testclient import TestClient
import bothways.cli.main  # what `bothways serve` has imported by then
from bothways.api.app import create_app
from bothways.core.settings import load_settings

settings, collection = json.loads(sys.argv[1]), sys.argv[2]
with TestClient(create_app(load_settings(**settings))) as http:
    body = {"query": "请假提前几天", "collection": collection, "strategy": "hybrid_rerank", "explain": True}
    answer = http.post("/api/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
print(json.dumps({"hits": len(told["hits"]), "degraded": told["degraded"], "modules": sorted(sys.modules)}))
"""


def test_a_served_search_imports_nothing_heavy(es, es_settings, segmenter, collection, tmp_path):
    client, server = es
    values = {"es_url": es_settings.es_url, "reranker_model": str(cross_encoder_folder(tmp_path / "reranker"))}
    chosen = load_settings(**values)
    load_cross_encoder(chosen)  # its graph is exported here, by torch, as it would be before a server without torch
    row = {"_id": "leave", "title": "请假", "text": "员工请假应当提前三天提交申请。"}
    (tmp_path / "c.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    parts = make_parts(
        (client, server), segmenter, encoder=lambda: load_encoder(chosen), embedding_model=chosen.embedding_model
    )
    index_path(tmp_path / "c.jsonl", JobOptions(collection=collection), parts)
    done = subprocess.run(
        [sys.executable, "-c", SERVED, json.dumps(values), collection], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["hits"], told["degraded"]) == (1, [])
    assert "onnxruntime" in told["modules"]
    assert [name for name in HEAVY if name in told["modules"]] == []
