"""What weekly learning brings, and what stops a poisoned week: `python -m benchmarks.learning`, on the law texts.

Simulated users search a collection that has one weak question an article (or none), click by what is relevant, and the
weekly job learns from it, three times. Each article's five recorded questions have one role each, drawn by the seed:
indexed at first, asked by users, kept for evaluation (never asked, never indexed), and written by the scripted language
model when it is asked for new ones. Then come weeks of random and of malicious clicks, each from the same state.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from benchmarks.alone import say
from benchmarks.corpus import LAW, ROOT
from core.analysis import load_segmenter
from core.collection import delete_collection, open_collection
from core.datatypes import Vector
from core.elastic import connect
from core.models.encoder import load_encoder
from core.models.protocols import Encoder
from core.models.usage import TokenUsage
from core.once import Once
from core.settings import Settings, settings
from core.vectors import from_stored
from evaluation.build import by_document
from evaluation.gold import resolve_gold
from evaluation.queries import JudgedQuery
from evaluation.run import Answer, run_strategies
from evaluation.statistics import Values, confidence
from indexer.build import build_parts
from indexer.job import index_path
from indexer.parts import JobOptions
from indexer.recorded_questions import RecordedQuestions
from learning.feedback.rows import Row
from learning.feedback.store import FeedbackStore
from learning.feedback.wording import Wording
from learning.gate import Demands
from learning.history import INDEX as HISTORY
from learning.promotion import roll_back
from learning.round import learn_round
from learning.round_parts import Wanted
from learning.simulate import INFORMATIONAL, NAVIGATIONAL, Acted, RandomReader, Reader, simulated_rows
from search.build import default_options
from search.options import SearchOptions
from search.pipeline import Searcher

WEEK_S = 7 * 86_400.0
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Article:
    """One article with its questions by role."""

    key: tuple[str, str]
    text: str
    first: str
    asked: str
    evaluated: str
    written: tuple[str, ...]


class ScriptedModel:
    """Answers with a passage's recorded questions, its first one included; `misled`, with those of the hints.

    The misled one stands for a model that believes its hints more than the passage: the worst that a poisoned record
    can do through it.
    """

    address = ""
    usage = TokenUsage()

    def __init__(self, articles: Sequence[Article], *, misled: bool = False) -> None:
        self.name = "scripted-misled" if misled else "scripted"
        self._by_text = {_squeezed(article.text): article for article in articles}
        self._by_question = {article.asked: article for article in articles}
        self._misled = misled

    def generate(self, prompt: str, *, json_schema: object = None, timeout_s: float | None = None) -> str:  # noqa: ARG002
        """Answer as JSON."""
        material = json.loads(prompt[prompt.index("\n{\n") : prompt.rindex("\n}\n") + 2])
        article = self._of(material["passage"])
        hinted = [self._by_question[text] for text in material["answered"] if text in self._by_question]
        if self._misled and hinted:
            questions = [question for other in hinted for question in other.written]
        elif article is None:
            questions = []
        elif not material["answered"]:
            # Told only what the passage does not answer, it keeps to the passage's own words.
            every = [*article.written, article.first]
            questions = sorted(every, key=lambda question: -_share(question, article.text))
        else:
            questions = [*article.written, *(text for text in material["now"] if text == article.first)]
        return json.dumps({"questions": questions}, ensure_ascii=False)

    def close(self) -> None:
        """Hold nothing."""

    def _of(self, passage: str) -> Article | None:
        text = _squeezed(passage.partition("\n")[2] or passage)
        exact = self._by_text.get(text)
        return exact or next((one for whole, one in self._by_text.items() if text in whole or whole in text), None)


@dataclass(frozen=True, slots=True)
class Baiter:
    """Clicks whatever stands at one rank and nothing else, and looks like a user who went on to it."""

    rank: int

    def react(self, shown: Sequence[str], relevant: Mapping[str, int], chance: np.random.Generator) -> Acted:  # noqa: ARG002
        """Give what this user does."""
        return [(shown[self.rank - 1], "click")] if len(shown) >= self.rank else []


class Remembered:
    """An encoder that knows the vectors of some texts already: those that another collection has."""

    def __init__(self, encoder: Encoder, known: Mapping[str, Vector]) -> None:
        self._encoder, self._known = encoder, known
        self.name, self.dimension = encoder.name, encoder.dimension

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Give the vectors (n, d), computing those that are not known."""
        new = [text for text in texts if text not in self._known]
        computed = iter(self._encoder.encode_documents(new) if new else ())
        return np.stack([self._known[text] if text in self._known else next(computed) for text in texts])

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Give the same: the default model has no prompt for queries."""
        return self.encode_documents(texts)


def _vectors(client: Elasticsearch, collection: str | None) -> dict[str, Vector]:
    """Read the vectors of a collection's chunks and questions, by their texts; none where none is named."""
    found: dict[str, Vector] = {}
    if collection is None:
        return found
    body = {"query": {"match_all": {}}, "_source": ["heading", "text", "text_sem", "questions"]}
    for hit in scan(client, index=open_collection(client, collection).index, query=body, size=200):
        source = hit["_source"]
        text = f"{source['heading']}\n{source['text']}" if source.get("heading") else source["text"]
        found[text] = from_stored(source["text_sem"])
        found.update((one["text"], from_stored(one["text_sem"])) for one in source["questions"])
    return found


class World:
    """A collection, its users, and what they do in a week."""

    def __init__(self, wanted: argparse.Namespace, chosen: Settings, folder: Path) -> None:
        self.wanted, self.settings, self.folder = wanted, chosen, folder
        self.name = f"bench-learn-{uuid.uuid4().hex[:8]}"
        self.chance = np.random.default_rng(wanted.seed)
        self.articles = _articles(self.chance, with_first=wanted.first == 1, weak=wanted.weak)
        client, self.server = connect(chosen)
        encoder = Once(lambda: Remembered(load_encoder(chosen), _vectors(client, wanted.vectors)))
        self.searcher = Searcher(client, load_segmenter(chosen), encoder, embedding_model=chosen.embedding_model)
        self.options = replace(default_options(chosen), strategy="hybrid", self_query=False)
        self.store = FeedbackStore(self.client)
        self.began = time.time() - 8 * WEEK_S
        order = [self.articles[int(at)] for at in self.chance.permutation(len(self.articles))]
        self.popular = order[: wanted.popular]
        half = wanted.evaluated // 2
        rest = order[wanted.popular :]
        self.evaluated = [_judged(one) for one in (*self.popular[:half], *rest[:half])]
        others = (*self.popular[half:], *rest[half : half + wanted.regression])
        self.regression = [_judged(one) for one in others][: wanted.regression]

    @property
    def client(self) -> Elasticsearch:
        """The client of everything."""
        return self.searcher.client

    def index(self) -> None:
        """Index the statutes with the first generation of questions, if any."""
        path = self.folder / "first.jsonl"
        rows = [{"text": one.text, "questions": [one.first]} for one in self.articles]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        writer = RecordedQuestions(path) if self.wanted.first == 1 else None
        parts = build_parts(self.settings, writer=writer)
        parts = replace(parts, encoder=self.searcher.encoder)
        report = index_path(LAW / "raw", JobOptions(self.name), parts)
        say(f"{report.chunks} chunks, {report.questions} questions, {report.seconds:.0f} s")

    def chunks_of(self) -> dict[tuple[str, str], list[str]]:
        """Give the chunks of each article."""
        found: dict[tuple[str, str], list[str]] = {}
        answer = self.client.search(
            index=f"bothways-{self.name}", size=10_000, query={"match_all": {}}, source_includes=["metadata"]
        )
        for hit in answer["hits"]["hits"]:
            metadata = hit["_source"]["metadata"]
            found.setdefault((metadata["law"], metadata["article"]), []).append(hit["_id"])
        return found

    def use(self, week: int, draw: Callable[[], Reader], *, at: Sequence[Article]) -> int:
        """Let users ask questions for a week and record it; gives the searches."""
        chunks = self.chunks_of()
        wording = Wording("plain", self.folder)
        options = replace(self.options, top_k=SHOWN)
        self.searcher.versions.forget(self.name)
        batch: list[Row] = []
        searches = 0
        for article in at:
            result = self.searcher.search(article.asked, self.name, options)
            relevant = dict.fromkeys(chunks.get(article.key, ()), 1)
            for _ in range(self.wanted.sessions):
                searches += 1
                again = replace(result, query_id=uuid.uuid4().hex)
                now = self.began + (week + self.chance.random() * 0.99) * WEEK_S
                batch += simulated_rows(again, draw(), relevant, self.chance, wording=wording, now=now)
            if len(batch) > 2000:
                self.store.write(batch)
                batch = []
        self.store.write(batch)
        self.client.indices.refresh(index="bothways-feedback-*.*")
        return searches

    def forget_week(self, week: int) -> None:
        """Remove what was recorded in a week."""
        since, until = (int(1000 * (self.began + number * WEEK_S)) for number in (week, week + 1))
        during = {"range": {"timestamp": {"gte": since, "lt": until, "format": "epoch_millis"}}}
        self._remove([{"term": {"application": self.name}}, during])

    def learn(self, week: int, llm: ScriptedModel, **other: Any) -> dict[str, Any]:  # noqa: ANN401
        """Run the weekly job at the end of a week."""
        wanted = Wanted(
            options=self.options,
            steps=["questions"],
            regression=self.regression,
            demands=Demands(margin=self.wanted.margin),
            max_share=self.wanted.max_share,
            held_out=self.wanted.held_out,
            **other,
        )
        report = learn_round(
            self.settings.model_copy(update={"cache_dir": self.folder}),
            self.searcher,
            self.server,
            self.name,
            wanted,
            self.folder / "learnt",
            llm=llm,
            now=self.began + (week + 1) * WEEK_S,
        )
        self.searcher.versions.forget(self.name)
        return report

    def measure(self) -> dict[str, Values]:
        """Measure what is live on the questions that were never asked nor indexed."""
        self.searcher.versions.forget(self.name)
        live = open_collection(self.client, self.name)
        asks = {"live": partial(_ask, self.searcher, self.name, replace(self.options, top_k=30))}
        tally = run_strategies(self.evaluated, asks, partial(resolve_gold, self.client, live), ks=(1, 10))
        return tally.values["live"]

    def close(self) -> None:
        """Remove all that was made."""
        delete_collection(self.client, self.name)
        self._remove([{"term": {"application": self.name}}])
        self.client.options(ignore_status=404).delete_by_query(
            index=HISTORY, query={"term": {"collection": self.name}}, conflicts="proceed", refresh=True
        )

    def _remove(self, filters: list[dict[str, Any]]) -> None:
        self.client.options(request_timeout=120).delete_by_query(
            index="bothways-feedback-*.*", query={"bool": {"filter": filters}}, conflicts="proceed", refresh=True
        )


def main() -> int:
    """Run it all and write the numbers; 1 where a target is missed."""
    wanted = _options().parse_args()
    with tempfile.TemporaryDirectory(prefix="bothways-learn-") as folder:
        world = World(wanted, settings(), Path(folder))
        try:
            world.index()
            results = _weeks(world) | {"poisoned": list(_poisoned(world)) if wanted.poison else []}
        finally:
            world.close()
    results["options"] = {name: str(value) for name, value in vars(wanted).items()}
    wanted.out.mkdir(parents=True, exist_ok=True)
    path = wanted.out / f"learning-{'weak-' if wanted.weak else ''}{wanted.first}-{wanted.seed}.json"
    path.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", "utf-8")
    stopped = all(one["state"] == "refused" or one["state"] == "nothing" for one in results["poisoned"])
    gained = results["gain_hit@10"]["mean"] >= 0.03
    print(f"hit@10 up by 3 points: {gained}; every poisoned round stopped: {stopped}. Numbers: {path}")
    return 0 if gained and stopped else 1


def _weeks(world: World) -> dict[str, Any]:
    """Let honest users search for the weeks, the job learn at the end of each."""
    before = world.measure()
    rows = [_row(0, before)]
    print(_line(rows[-1]), flush=True)
    llm = ScriptedModel(world.articles)
    changed: set[str] = set()
    asked: set[tuple[str, str]] = set()
    for week in range(world.wanted.weeks):
        at = [world.popular[int(n)] for n in world.chance.permutation(len(world.popular))[: world.wanted.asked]]
        asked |= {article.key for article in at}
        searches = world.use(week, partial(_honest, world.chance), at=at)
        report = world.learn(week, llm)
        [step] = report["steps"]
        if step["state"] == "promoted":
            changed |= {one["chunk_id"] for one in step["changes"]}
        after = world.measure()
        rows.append(
            _row(week + 1, after) | _told(report, step) | {"searches": searches, "changed_so_far": len(changed)}
        )
        print(_line(rows[-1]), flush=True)
    chunks = world.chunks_of()
    popular = np.arange(len(world.evaluated)) < len(world.evaluated) // 2
    touched = np.array([bool(changed & set(chunks.get(_key(query), ()))) for query in world.evaluated])
    gain = after["hit@10"] - before["hit@10"]
    results: dict[str, Any] = {"weeks": rows, "asked_share": len(asked) / len(world.articles)}
    results["changed_share"] = len(changed) / sum(map(len, chunks.values()))
    for measure in ("hit@10", "mrr@10", "ndcg@10"):
        gained = after[measure] - before[measure]
        results[f"popular_{measure}"] = [float(side[measure][popular].mean()) for side in (before, after)]
        results[f"gain_{measure}"] = _interval(gained[popular])
        results[f"gain_elsewhere_{measure}"] = _interval(gained[~popular])
    results["touched"] = {"queries": int(touched.sum()), "of": len(touched), "gain_hit@10": _interval(gain[touched])}
    results["untouched"] = {"gain_hit@10": _interval(gain[~touched])}
    print(json.dumps({name: value for name, value in results.items() if name != "weeks"}, indent=1), flush=True)
    return results


def _poisoned(world: World) -> Iterator[dict[str, Any]]:
    """Let a bad week follow, of several kinds, each from the same state; what goes live is measured and taken back."""
    week = world.wanted.weeks
    misled = ScriptedModel(world.articles, misled=True)
    kinds: list[tuple[str, Callable[[], Reader], ScriptedModel, dict[str, Any]]] = [
        ("random .4", lambda: RandomReader(0.4), misled, {"days": 7.0}),
        ("random .4, clicks unchecked", lambda: RandomReader(0.4), misled, {"days": 7.0, "check_clicks": False}),
        ("everybody clicks rank 7", lambda: Baiter(7), misled, {"days": 7.0}),
        ("half honest, half random .4", partial(_half, world.chance), misled, {"days": 7.0}),
    ]  # fmt: skip
    for kind, draw, llm, other in kinds:
        at = [world.popular[int(n)] for n in world.chance.permutation(len(world.popular))[: world.wanted.asked]]
        world.use(week, draw, at=at)
        before = world.measure()
        report = world.learn(week, llm, **other)
        [step] = report["steps"]
        row = {"kind": kind} | _told(report, step)
        if step["state"] == "promoted":
            row["effect_hit@10"] = _interval(world.measure()["hit@10"] - before["hit@10"])
            roll_back(world.client, world.name)
            world.searcher.versions.forget(world.name)
        world.forget_week(week)
        print(json.dumps(row, ensure_ascii=False), flush=True)
        yield row


def _honest(chance: np.random.Generator) -> Reader:
    """Draw a user: nine of ten look for something, one clicks by chance."""
    drawn = chance.random()
    return RandomReader(0.2) if drawn < 0.1 else NAVIGATIONAL if drawn < 0.55 else INFORMATIONAL


def _half(chance: np.random.Generator) -> Reader:
    return RandomReader(0.4) if chance.random() < 0.5 else _honest(chance)


def _told(report: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    read = report["feedback"]
    names = ("answers", "non_answers", "learnt_from", "held_out_queries", "clicks")
    told = {"state": step["state"], "reason": step["reason"], **{name: read[name] for name in names}}
    told |= {name: step[name] for name in ("changed", "wanted", "dropped_as_copies") if name in step}
    if "gate" in step:
        told["sets"] = [
            {name: one[name] for name in ("name", "queries", "leaked", "live", "candidate", "difference")}
            for one in step["gate"]["sets"]
        ]
    return told


def _row(week: int, values: Mapping[str, Values]) -> dict[str, Any]:
    return {"week": week} | {
        name: round(float(values[name].mean()), 4) for name in ("hit@1", "hit@10", "mrr@10", "ndcg@10")
    }


def _line(row: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in row.items() if name not in {"sets", "reason"})


def _interval(values: Values) -> dict[str, float]:
    found = confidence(values)
    return {"mean": round(found.mean, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def _ask(searcher: Searcher, name: str, options: SearchOptions, query: JudgedQuery) -> Answer:
    return Answer(by_document(searcher.search(query.text, name, options).hits))


def _judged(article: Article) -> JudgedQuery:
    law, number = article.key
    return JudgedQuery(f"{law} {number}", article.evaluated, gold={"law": law, "article": number})


def _key(query: JudgedQuery) -> tuple[str, str]:
    return query.gold["law"], query.gold["article"]


def _articles(chance: np.random.Generator, *, with_first: bool, weak: bool) -> list[Article]:
    """Read the articles, their questions in roles that are drawn anew for each.

    `weak`: the first one indexed is that which shares most with the article's own words, as a generation does that
    misses how people ask.
    """
    found = []
    for line in (LAW / "pseudo_questions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if len(row["questions"]) < 5:
            continue
        drawn = [row["questions"][int(at)] for at in chance.permutation(5)]
        if weak:
            drawn.sort(key=lambda question: -_share(question, row["text"]))
            drawn[1:] = [drawn[1:][int(at)] for at in chance.permutation(4)]
        first, asked, evaluated, *written = drawn
        own = tuple(written) if with_first else (*written, first)
        found.append(Article((row["law"], row["article"]), row["text"], first, asked, evaluated, own))
    return found


def _share(question: str, text: str) -> float:
    """Give the share of a question's pairs of characters that stand in a text."""
    pairs = [question[at : at + 2] for at in range(len(question) - 1)]
    return sum(pair in text for pair in pairs) / max(1, len(pairs))


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="folder for the JSON [bench-results]")
    parser.add_argument("--first", type=int, choices=(0, 1), default=1, help="questions an article to begin with [1]")
    parser.add_argument("--weeks", type=int, default=3, help="honest weeks [3]")
    parser.add_argument("--popular", type=int, default=300, help="articles that users ask about [300]")
    parser.add_argument("--asked", type=int, default=300, help="of them in a week [300]")
    parser.add_argument("--sessions", type=int, default=30, help="searches of each [30]")
    parser.add_argument("--regression", type=int, default=200, help="queries of the frozen set [200]")
    parser.add_argument(
        "--evaluated",
        type=int,
        default=440,
        help="queries that the gain is measured by, half of what users ask about [440]",
    )
    parser.add_argument("--max-share", type=float, default=0.1, help="of the chunks that a run may change [0.1]")
    parser.add_argument("--margin", type=float, default=Demands().margin, help="of the gate [0.02]")
    parser.add_argument(
        "--held-out", type=float, default=0.2, help="share of the questions that only the gate sees [0.2]"
    )
    parser.add_argument("--weak", action="store_true", help="begin with the question nearest to the article's words")
    parser.add_argument("--no-poison", dest="poison", action="store_false", help="leave the bad weeks out")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--vectors", help="a collection of the same texts whose vectors need not be computed again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
