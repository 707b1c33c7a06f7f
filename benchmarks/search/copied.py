"""What our index holds, for the indices of the others: the same texts with the same vectors, encoded once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.collections.collection import Collection

_SOURCE = {
    "includes": ["chunk_id", "doc_id", "title", "heading", "text", "source", "text_sem", "questions"],
    "exclude_vectors": False,
}


def copy_texts(client: Elasticsearch, collection: Collection, folder: Path) -> dict[str, int]:
    """Write `rows.jsonl` (chunks, each followed by its questions) and `vectors.npy`, shape (rows, d), float32."""
    vectors: list[list[float]] = []
    counts = {"chunks": 0, "questions": 0}
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as out:
        for hit in scan(client, index=collection.index, query={"_source": _SOURCE}, size=200):
            chunk = hit["_source"]
            meta = {name: chunk[name] for name in ("chunk_id", "doc_id", "title", "source")}
            text = f"{chunk['heading']}\n{chunk['text']}" if chunk.get("heading") else chunk["text"]
            rows = [{"id": chunk["chunk_id"], "text": text, "meta": {**meta, "tag": "chunk"}}]
            vectors.append(chunk["text_sem"])
            for number, question in enumerate(chunk.get("questions", [])):
                name = f"{chunk['chunk_id']}-q{number}"
                rows.append({"id": name, "text": question["text"], "meta": {**meta, "tag": "syn"}})
                vectors.append(question["text_sem"])
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            counts["chunks"] += 1
            counts["questions"] += len(rows) - 1
    np.save(folder / "vectors.npy", np.asarray(vectors, np.float32))
    return counts
