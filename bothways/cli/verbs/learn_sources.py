"""What trainings learn from, as the command line names it, and the evaluation queries that they may not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from pydantic import Field

from bothways.core.errors import UsageError
from bothways.evaluation.judged.queries import JudgedQuery, load_queries, load_texts, split_of, take_split
from bothways.learning.arguments import Arguments
from bothways.learning.reranker.build import Sources
from bothways.learning.reranker.data.groups import JudgedSet, Kind
from bothways.learning.run_folder import sha256_of

CollectionsOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--collection", "-c", help="learn from its pseudo-questions; repeatable")
]
BeirOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="FOLDER or FOLDER@COLLECTION: judged queries (queries.jsonl, qrels.tsv); their train part is "
        "learnt, and distillations are measured by their dev part; repeatable"
    ),
]
GeneralOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="FOLDER@COLLECTION: judged queries of other texts, in which searches must stay good; repeatable"),
]
JudgmentsOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="FOLDER or FOLDER@COLLECTION: output of `bothways learn judgments`; repeatable"),
]
ExcludeOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--exclude-queries",
        help="evaluation queries (JSON lines, BEIR): they and near-copies of them are not trained on; repeatable",
    ),
]


class SplitArguments(Arguments):
    """Which part of judged queries is learnt."""

    split: Literal["train", "all"] = Field(
        default="train", description="part of --beir that is learnt: train, or all where nothing is measured by it"
    )


def read_sources(
    collections: Sequence[str] | None,
    beir: Sequence[str] | None,
    judgments: Sequence[str] | None,
    exclude: Sequence[Path] | None,
    split: Literal["train", "all"] = "train",
) -> Sources:
    """Read what a training learns from and which queries it may not; the dev part of judged queries is among these."""
    collections, beir, judgments = collections or [], beir or [], judgments or []
    if not (collections or beir or judgments):
        raise UsageError("There is nothing to learn from: name --collection, --beir or --judgments.")
    kept_out = [text for path in exclude or [] for text in load_texts(path)]
    judged: list[JudgedSet] = []
    files: dict[str, str] = {}
    kinds: list[tuple[str, Kind]] = [*((name, "judged") for name in beir), *((name, "clicks") for name in judgments)]
    for given, kind in kinds:
        folder, collection = _folder(given, collections)
        queries = load_queries(folder)
        files.update({f"{folder}/{name}": sha256_of(folder / name) for name in ("queries.jsonl", "qrels.tsv")})
        if kind == "judged" and split == "train":
            kept_out += [query.text for query in queries if split_of(query.query_id) == "dev"]
            queries = take_split(queries, "train")
        name = f"{folder}@{collection}" if any(other.name == str(folder) for other in judged) else str(folder)
        judged.append(_judged(name, collection, queries, kind))
    return Sources(collections=collections, judged=judged, keep_out=kept_out, fingerprints=files)


def read_dev(given: Sequence[str] | None, collections: Sequence[str] | None) -> list[JudgedSet]:
    """Read the dev parts of judged queries, by which models are measured."""
    parts = []
    for name in given or []:
        folder, collection = _folder(name, collections or [])
        parts.append(_judged(str(folder), collection, take_split(load_queries(folder), "dev"), "judged"))
    return parts


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


def _judged(name: str, collection: str, queries: Sequence[JudgedQuery], kind: Kind) -> JudgedSet:
    return JudgedSet(
        name=name,
        collection=collection,
        queries=[
            (query.query_id, query.text, frozenset(doc_id for doc_id, grade in query.relevant.items() if grade > 0))
            for query in queries
        ],
        kind=kind,
    )
