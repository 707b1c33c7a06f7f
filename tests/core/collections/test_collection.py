from __future__ import annotations

import pytest

from bothways.core.collections.collection import Collection, alias_of, version_of
from bothways.core.errors import IncompatibleCollectionError, UsageError


@pytest.mark.parametrize("name", ["law", "a", "law-2024", "x_y", "0"])
def test_names(name):
    assert alias_of(name) == f"bothways-{name}"


@pytest.mark.parametrize("name", ["", "Law", "law*", "-x", "a/b", "a,b", "law-v2", "法", "a" * 101, "a b", "a\n"])
def test_names_that_are_none(name):
    with pytest.raises(UsageError, match="cannot be a collection's name"):
        alias_of(name)


def test_version_of():
    assert version_of("bothways-law-v12") == 12
    assert version_of("bothways-law") == 0


def test_a_collection_refuses_another_build():
    law = Collection(
        name="law",
        index="bothways-law-v1",
        embedding_model="bge",
        dimension=512,
        analyzer="jieba-cut",
        schema_version=1,
        metadata_fields=frozenset(),
    )
    law.require(embedding_model="bge", dimension=512, analyzer="jieba-cut")
    with pytest.raises(IncompatibleCollectionError, match=r"embedding model 'bge'.*--recreate"):
        law.require(embedding_model="other", analyzer="jieba-cut")
    with pytest.raises(IncompatibleCollectionError, match="512 dimensions"):
        law.require(embedding_model="bge", dimension=384, analyzer="jieba-cut")
    with pytest.raises(IncompatibleCollectionError, match="analysis"):
        law.require(embedding_model="bge", analyzer="jieba-cut-stop")
