"""A server with the fake encoder that can be killed: `python -m tests.feedback_server PORT ES_URL CACHE_DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from bothways.api.app import create_app
from bothways.core.analysis import Segmenter
from bothways.core.settings import load_settings
from bothways.node.connect import connect
from bothways.search.pipeline import Searcher
from tests.fakes import HashEncoder


def main(port, es_url, cache_dir):
    chosen = load_settings(es_url=es_url, cache_dir=Path(cache_dir), feedback=True)

    def build(settings):
        client, server = connect(settings)
        segmenter = Segmenter(cache_dir=Path(cache_dir))
        return Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash"), server

    uvicorn.run(create_app(chosen, build), port=int(port), log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
