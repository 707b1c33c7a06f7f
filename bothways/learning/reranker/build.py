"""From settings to a trained reranker: where its questions come from, what it is kept from, where it searches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection, open_collection
from bothways.core.errors import UsageError
from bothways.core.settings import Settings
from bothways.learning.leakage import LeakageFilter, letters_of
from bothways.learning.reranker.data.build import Counts, MiningOptions, Progress, make_groups, searching
from bothways.learning.reranker.data.groups import (
    Group,
    JudgedSet,
    Question,
    judged_questions,
    pseudo_questions,
    read_groups,
)
from bothways.learning.reranker.report import write_report
from bothways.learning.reranker.state import begin, forget, groups_file
from bothways.learning.reranker.train import OnLog, base_folder, check_extra, residual_of, train
from bothways.learning.run_folder import sha256_of
from bothways.learning.training_arguments import TAUGHT, RerankerArguments
from bothways.models.onnx.tokens import Tokens
from bothways.search.build import build_searcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where questions come from: collections with pseudo-questions, judged queries; and texts that are kept out.

    `fingerprints`: what tells other data from these: the SHA-256 of the files that were read, by name.
    """

    collections: Sequence[str]
    judged: Sequence[JudgedSet] = ()
    keep_out: Sequence[str] = ()
    fingerprints: dict[str, str] | None = None


def learn_reranker(
    settings: Settings,
    sources: Sources,
    mining: MiningOptions,
    arguments: RerankerArguments,
    out: Path,
    *,
    command: str,
    minutes: float | None = None,
    resume: bool = False,
    progress: Progress = lambda _done, _of: None,
    on_log: OnLog = lambda _step, _of, _logs: None,
) -> dict[str, Any]:
    """Mine groups of the sources, train a reranker on them into `out`, and return its report.

    Raises `UsageError` as `begin`, `make_groups` and collections without questions do; `MissingExtraError`;
    `KeyboardInterrupt` after Ctrl-C, when all that is needed to go on is on disk.
    """
    if arguments.loss in TAUGHT:
        raise UsageError(f"The loss {arguments.loss} needs a teacher: see `bothways learn distill-reranker`.")
    check_extra()
    base = base_folder(arguments.base, cache_dir=settings.cache_dir)
    if arguments.residual is None:
        arguments = arguments.model_copy(update={"residual": residual_of(base)})
    mine = Mine(settings, sources, mining)
    training = begin(out, arguments, mine.facts(base), command=command, resume=resume)
    if training.groups_sha256:
        groups = read_groups(groups_file(out))
    else:
        try:
            groups, counts = mine.groups(base, max_length=arguments.max_length, progress=progress)
        except UsageError:
            forget(out)  # so that the same folder can be named again, with other questions
            raise
        training.write_groups(out, groups, counts.as_dict())
    trained = train(groups, training, out, base=base, minutes=minutes, on_log=on_log)
    return write_report(out, training, trained)


class Mine:
    """The collections of the sources, opened: what groups come from."""

    def __init__(self, settings: Settings, sources: Sources, mining: MiningOptions) -> None:
        self.sources, self.mining = sources, mining
        self.searcher, _ = build_searcher(settings)
        self.opened = {name: open_collection(self.searcher.client, name) for name in _collections(sources)}
        for collection in self.opened.values():
            collection.require(embedding_model=settings.embedding_model, analyzer=self.searcher.segmenter.name)

    def facts(self, base: Path) -> dict[str, Any]:
        """Return what tells two trainings' data can be told apart."""
        return _facts(self.sources, self.mining, self.opened, base)

    def asked(self) -> Iterator[Question]:
        """Stream the questions of all sources; raises `UsageError` where one has none."""
        return _asked(self.searcher.client, self.sources, self.opened)

    def groups(self, base: Path, *, max_length: int, progress: Progress) -> tuple[list[Group], Counts]:
        """Make groups as `base` reads them at that length; raises `UsageError` as `make_groups` does."""
        reader = PassageReader(base, max_length=max_length)
        retrieve = searching(self.searcher, depth=self.mining.depth)
        leakage = LeakageFilter(self.sources.keep_out)
        return make_groups(self.asked(), retrieve, reader, self.mining, leakage=leakage, progress=progress)


class PassageReader:
    """How much of a passage the model will read (`LimitedReader`): its tokenizer, at the length it is trained for."""

    at_once = 1

    def __init__(self, folder: Path, *, max_length: int) -> None:
        self._tokens = Tokens(folder)
        if not self._tokens.special_tokens < max_length <= self._tokens.max_tokens:
            raise UsageError(f"max_length={max_length}: {folder.name} reads up to {self._tokens.max_tokens} tokens.")
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


def _facts(sources: Sources, mining: MiningOptions, opened: dict[str, Collection], base: Path) -> dict[str, Any]:
    """Return what tells two trainings' data can be told apart; another version of a collection is other data."""
    kept_out = "\n".join(sorted(letters_of(text) for text in sources.keep_out))
    return {
        "collections": {name: collection.index for name, collection in opened.items()},
        "pseudo_questions": list(sources.collections),
        "files": dict(sources.fingerprints or {}),
        "judged": {one.name: len(one.queries) for one in sources.judged},
        "keep_out": [len(sources.keep_out), _digest(kept_out)],
        "base_sha256": sha256_of(_weights(base)),
        **{("mining_seed" if name == "seed" else name): value for name, value in mining.model_dump().items()},
    }


def _weights(base: Path) -> Path:
    return next(
        (base / name for name in ("model.safetensors", "pytorch_model.bin") if (base / name).is_file()),
        base / "config.json",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _asked(client: Elasticsearch, sources: Sources, opened: dict[str, Collection]) -> Iterator[Question]:
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


def _some(asked: Iterable[Question], why: Callable[[], str]) -> Iterator[Question]:
    empty = True
    for one in asked:
        empty = False
        yield one
    if empty:
        raise UsageError(why())
