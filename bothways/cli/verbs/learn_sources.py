"""What trainings learn from, as the command line names it: collections, judged queries, clicks; what is kept out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import typer

from bothways.core.errors import UsageError
from bothways.evaluation.judged.queries import JudgedQuery, Split, load_queries, load_texts, split_of, take_split
from bothways.learning.reranker.build import Sources
from bothways.learning.reranker.data.groups import Judged, Kind
from bothways.learning.reranker.state import sha256_of

SplitName = Literal["train", "all"]

CollectionsOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--collection", "-c", help="learn from its pseudo-questions; repeatable")
]
BeirOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="FOLDER[@COLLECTION]: judged queries (queries.jsonl, qrels.tsv) of a collection; repeatable"),
]
GeneralOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="FOLDER@COLLECTION: judged queries that it is to stay good at; repeatable"),
]
JudgementsOption: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="FOLDER[@COLLECTION]: the same form, made of clicks; repeatable")
]
SplitOption: TypeAlias = Annotated[str, typer.Option(help="of --beir: `train`, or `all` where nothing is judged by it")]
KeepOutOption: TypeAlias = Annotated[
    list[Path] | None, typer.Option(help="queries that are never trained on (JSON lines, BEIR); repeatable")
]


def read_sources(
    collections: Sequence[str], beir: Sequence[str], judgements: Sequence[str], keep_out: Sequence[Path], split: str
) -> Sources:
    """Read what a training learns from, and what it is kept from; the dev split of judged queries always is."""
    if not (collections or beir or judgements):
        raise UsageError("There is nothing to learn from: name --collection, --beir or --judgements.")
    if split not in get_args(SplitName):
        raise UsageError(f"--split wants {' or '.join(get_args(SplitName))}, not {split[:40]!r}.")
    kept_out = [text for path in keep_out for text in load_texts(path)]
    judged: list[Judged] = []
    files: dict[str, str] = {}
    for given, kind in [*((one, "judged") for one in beir), *((one, "clicks") for one in judgements)]:
        folder, collection = _folder(given, collections)
        queries = load_queries(folder)
        files.update({f"{folder}/{name}": sha256_of(folder / name) for name in ("queries.jsonl", "qrels.tsv")})
        if kind == "judged" and split == "train":
            kept_out += [query.text for query in queries if split_of(query.query_id) == "dev"]
            queries = take_split(queries, "train")
        name = f"{folder}@{collection}" if any(one.name == str(folder) for one in judged) else str(folder)
        judged.append(_judged(name, collection, queries, "judged" if kind == "judged" else "clicks"))
    return Sources(collections=collections, judged=judged, keep_out=kept_out, fingerprints=files)


def _folder(given: str, collections: Sequence[str]) -> tuple[Path, str]:
    path, at, collection = given.rpartition("@")
    folder = Path(path if at else given)
    if not at:
        if len(collections) != 1:
            raise UsageError(f"{given}: say whose documents it judges, as in {given}@COLLECTION.")
        collection = collections[0]
    if not (folder / "queries.jsonl").is_file() or not (folder / "qrels.tsv").is_file():
        raise UsageError(f"{folder} is no BEIR folder: it has to hold queries.jsonl and qrels.tsv.")
    return folder, collection


def _judged(name: str, collection: str, queries: Sequence[JudgedQuery], kind: Kind) -> Judged:
    return Judged(
        name=name,
        collection=collection,
        queries=[
            (query.query_id, query.text, frozenset(one for one, grade in query.relevant.items() if grade > 0))
            for query in queries
        ],
        kind=kind,
    )


def read_split(given: Sequence[str], collections: Sequence[str], split: Split) -> list[Judged]:
    """Read one part of judged queries, as FOLDER[@COLLECTION] names them."""
    found = []
    for one in given:
        folder, collection = _folder(one, collections)
        found.append(_judged(str(folder), collection, take_split(load_queries(folder), split), "judged"))
    return found
