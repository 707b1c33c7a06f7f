"""From settings to a trained reranker: where its questions come from, what it is kept from, where it searches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection, open_collection
from bothways.core.errors import UsageError
from bothways.core.settings import Settings
from bothways.learning.leakage import KeptOut, letters_of
from bothways.learning.reranker.data.build import Counts, Progress, Wanted, make_groups, searching
from bothways.learning.reranker.data.groups import (
    Asked,
    Group,
    Judged,
    judged_questions,
    pseudo_questions,
    read_groups,
    write_groups,
)
from bothways.learning.reranker.report import write_report
from bothways.learning.reranker.state import Training, TrainingArguments, begin, forget, groups_file, sha256_of
from bothways.learning.reranker.train import Tell, Trained, base_folder, check_extra, residual_of, train
from bothways.models.onnx.tokens import Tokens
from bothways.search.build import build_searcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where questions come from: collections with pseudo-questions, judged queries; and texts that are kept out.

    `fingerprints`: what tells other data from these: the SHA-256 of the files that were read, by name.
    """

    collections: Sequence[str]
    judged: Sequence[Judged] = ()
    keep_out: Sequence[str] = ()
    fingerprints: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A training that ended: its report as `report.json` has it."""

    trained: Trained
    report: dict[str, Any]


def learn_reranker(
    settings: Settings,
    sources: Sources,
    wanted: Wanted,
    arguments: TrainingArguments,
    out: Path,
    *,
    command: str,
    minutes: float | None = None,
    resume: bool = False,
    progress: Progress = lambda _done, _of: None,
    tell: Tell = lambda _step, _of, _logs: None,
) -> Done:
    """Mine groups of the sources and train a reranker on them into `out`.

    Raises `UsageError` as `begin`, `make_groups` and collections without questions do; `MissingExtraError`;
    `KeyboardInterrupt` after Ctrl-C, when all that is needed to go on is on disk.
    """
    check_extra()
    base = base_folder(arguments.base, cache_dir=settings.cache_dir)
    if arguments.residual is None:
        arguments = replace(arguments, residual=residual_of(base))
    mine = Mine(settings, sources, wanted)
    training = begin(out, arguments, mine.facts(base), command=command, resume=resume)
    if training.groups_sha256:
        groups = read_groups(groups_file(out))
    else:
        try:
            groups, counts = mine.groups(base, max_length=arguments.max_length, progress=progress)
        except UsageError:
            forget(out)  # so that the same folder can be named again, with other questions
            raise
        _keep(out, training, groups, counts.as_dict())
    trained = train(groups, training, out, base=base, minutes=minutes, tell=tell)
    return Done(trained, write_report(out, training, trained))


class Mine:
    """The collections of the sources, opened: what groups come from."""

    def __init__(self, settings: Settings, sources: Sources, wanted: Wanted) -> None:
        self.sources, self.wanted = sources, wanted
        self.searcher, _ = build_searcher(settings)
        self.opened = {name: open_collection(self.searcher.client, name) for name in _collections(sources)}
        for collection in self.opened.values():
            collection.require(embedding_model=settings.embedding_model, analyzer=self.searcher.segmenter.name)

    def facts(self, base: Path) -> dict[str, Any]:
        """Say by what two trainings' data can be told apart."""
        return _facts(self.sources, self.wanted, self.opened, base)

    def asked(self) -> Iterator[Asked]:
        """Stream the questions of all sources; raises `UsageError` where one has none."""
        return _asked(self.searcher.client, self.sources, self.opened)

    def groups(self, base: Path, *, max_length: int, progress: Progress) -> tuple[list[Group], Counts]:
        """Make groups as `base` reads them at that length; raises `UsageError` as `make_groups` does."""
        reader = Room(base, max_length=max_length)
        retrieve = searching(self.searcher, depth=self.wanted.bounds.depth)
        kept_out = KeptOut(self.sources.keep_out)
        return make_groups(self.asked(), retrieve, reader, self.wanted, kept_out=kept_out, progress=progress)


class Room:
    """How much of a passage the model will read (`LimitedReader`): its tokenizer, at the length it is trained for."""

    at_once = 1

    def __init__(self, folder: Path, *, max_length: int) -> None:
        self._tokens = Tokens(folder)
        if not self._tokens.special_tokens < max_length <= self._tokens.max_tokens:
            raise UsageError(f"--max-length {max_length}: {folder.name} reads up to {self._tokens.max_tokens} tokens.")
        self._max_length = max_length

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` stands, as (start, end) in characters."""
        return self._tokens.spans(text)

    @property
    def pair_tokens(self) -> int:
        """Tokens that question and passage may have together."""
        return self._max_length - self._tokens.special_tokens


def _collections(sources: Sources) -> list[str]:
    return list(dict.fromkeys([*sources.collections, *(one.collection for one in sources.judged)]))


def _facts(sources: Sources, wanted: Wanted, opened: dict[str, Collection], base: Path) -> dict[str, Any]:
    """Say by what two trainings' data can be told apart; another version of a collection is other data."""
    kept_out = "\n".join(sorted(letters_of(text) for text in sources.keep_out))
    facts = asdict(wanted)
    bounds = facts.pop("bounds")
    return {
        "collections": {name: collection.index for name, collection in opened.items()},
        "pseudo_questions": list(sources.collections),
        "files": dict(sources.fingerprints or {}),
        "judged": {one.name: len(one.queries) for one in sources.judged},
        "keep_out": [len(sources.keep_out), _digest(kept_out)],
        "base_sha256": sha256_of(_weights(base)),
        **{("mining_seed" if name == "seed" else name): value for name, value in facts.items()},
        **bounds,
    }


def _weights(base: Path) -> Path:
    return next(
        (base / name for name in ("model.safetensors", "pytorch_model.bin") if (base / name).is_file()),
        base / "config.json",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _asked(client: Elasticsearch, sources: Sources, opened: dict[str, Collection]) -> Iterator[Asked]:
    for name in sources.collections:
        yield from _some(
            pseudo_questions(client, opened[name].index, collection=name),
            lambda name=name: (
                f"The collection {name!r} has no questions to learn from: index it with a language model "  # type: ignore[misc]
                "(BOTHWAYS_LLM_BASE_URL) or with --questions FILE, or leave it to --beir FOLDER@COLLECTION alone."
            ),
        )
    for judged in sources.judged:
        yield from _some(
            judged_questions(client, opened[judged.collection].index, judged),
            lambda judged=judged: (
                f"None of the documents that {judged.name} judges is in the collection "  # type: ignore[misc]
                f"{judged.collection!r}."
            ),
        )


def _some(asked: Iterable[Asked], why: Callable[[], str]) -> Iterator[Asked]:
    empty = True
    for one in asked:
        empty = False
        yield one
    if empty:
        raise UsageError(why())


def _keep(out: Path, training: Training, groups: Sequence[Group], counts: dict[str, Any]) -> None:
    write_groups(groups_file(out), groups)
    training.counts = counts
    training.groups_sha256 = sha256_of(groups_file(out))
    training.write(out)
