"""An index as on a disk that is full."""

from __future__ import annotations

import threading
from contextlib import contextmanager

BLOCK = "index.blocks.read_only_allow_delete"
_EVERY_S = 0.05


@contextmanager
def full_disk(client, index):
    """Set the block that a full disk sets. Elasticsearch, seeing room, soon takes it off, so it is set again."""
    ended = threading.Event()

    def hold():
        while not ended.wait(_EVERY_S):
            client.indices.put_settings(index=index, settings={BLOCK: True})

    client.indices.put_settings(index=index, settings={BLOCK: True})
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        client.indices.put_settings(index=index, settings={BLOCK: None})
