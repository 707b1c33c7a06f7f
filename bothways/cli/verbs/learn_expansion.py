"""`bothways learn expansion`: what expansions bring to judged queries, and a rule for when to ask for one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bothways.cli.ending import ended_by_sigterm
from bothways.cli.options import CollectionOption, JsonOption, parse_strategy
from bothways.cli.output import err, out, print_json
from bothways.cli.verbs.evaluate import AllowLeaksOption, QrelsOption
from bothways.cli.verbs.tune import bars
from bothways.core.errors import ElasticsearchError, EvaluationError, LLMError, UsageError
from bothways.core.machine.private_files import write_json
from bothways.core.settings import Settings, settings
from bothways.evaluation.expansion.report import about_rule, page, summarise
from bothways.evaluation.expansion.rewards import Bench, Example, FirstPass, Given
from bothways.evaluation.expansion.rule import Frame
from bothways.evaluation.judged.queries import JudgedQuery, load_queries, split_of, take_split
from bothways.learning.expansion.learn import Samples, collect
from bothways.learning.expansion.pairs import PAIRS, write_pairs
from bothways.learning.expansion.samples import ModelSamples, RecordedSamples, Source
from bothways.learning.run_folder import sha256_of
from bothways.models.llm.language_model import load_llm
from bothways.search.build import build_searcher
from bothways.search.options import LEGS, RERANKED, SearchOptions
from bothways.search.query.rewrite import QUERY2DOC

RULE = "rule.json"
_COMPARED = (
    "leg_k",
    "num_candidates",
    "fusion",
    "convex_weight",
    "weight_bm25",
    "weight_dense",
    "weight_questions",
    "weight_cjk",
    "weight_pseudo_doc",
    "leg_cutoff",
    "rank_constant",
    "rerank_alpha",
    "rerank_top_n",
    "oversample",
    "deduplicate",
    "self_query",
)
"""Options of the search that change rewards: a run goes on with the same."""


def expansion(
    queries: Annotated[Path, typer.Argument(metavar="QUERIES", help="BEIR queries.jsonl, or JSON lines with gold")],
    collection: CollectionOption,
    out_dir: Annotated[Path, typer.Option("--out", help="new folder of samples, report, rule and pairs")],
    qrels: QrelsOption = None,
    split: Annotated[
        Literal["train", "dev", "all"], typer.Option(help="which of the queries; dev is a fifth")
    ] = "train",
    strategy: Annotated[str, typer.Option(help="strategy that users search with, without expansion")] = "hybrid",
    n: Annotated[
        int | None,
        typer.Option(
            "--samples", min=1, max=100, help="pseudo-documents for each query; unset: 4, or all recorded ones"
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="temperature of the language model")] = 1.0,
    expansions: Annotated[
        Path | None,
        typer.Option(help="read pseudo-documents from JSON lines (query_id, text); the language model is not called"),
    ] = None,
    price: Annotated[float, typer.Option(min=0, max=1, help="gain in nDCG@10 from which a call pays off")] = 0.01,
    margin: Annotated[
        float, typer.Option(min=0.001, max=1, help="least difference in reward of a preference pair")
    ] = 0.1,
    resume: Annotated[bool, typer.Option("--resume", help="continue an interrupted run")] = False,
    allow_leaks: AllowLeaksOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn when pseudo-documents help, and which ones to prefer.

    It measures what they bring to judged queries, learns a rule for when to write one, and writes preference pairs to
    fine-tune the language model with.
    """
    chosen = settings()
    judged = take_split(load_queries(queries, qrels), None if split == "all" else split)
    source = _source(chosen, expansions, n, temperature)
    given = Given()
    searcher, _ = build_searcher(chosen, rewriter=given)
    options = chosen.search.replace(strategy=parse_strategy(strategy))
    bench = Bench(searcher, given, collection, judged, options=options, allow_leaks=allow_leaks)
    about = {
        "collection": collection,
        "index": bench.opened.index,
        "strategy": options.strategy,
        "embedding_model": chosen.embedding_model,
        "source": source.name,
        "prompt_version": QUERY2DOC.version,
    }
    file = queries / "queries.jsonl" if queries.is_dir() else queries
    beside = file.with_name("qrels.tsv")
    judgments = qrels or (beside if beside.exists() else None)
    files = {"queries": file, "judgements": judgments, "expansions": expansions}
    begun_with = {
        **about,
        "split": split,
        "rule_in_use": sha256_of(chosen.expansion_rule) if chosen.expansion_rule else "built-in",
        "options": _compared(options),
        "reranker": chosen.reranker_model if options.strategy in RERANKED else None,
        **{f"{name}_sha256": sha256_of(path) for name, path in files.items() if path is not None},
    }
    with bars() as advance, ended_by_sigterm():
        try:
            samples = collect(
                out_dir,
                {query.query_id: query.text for query in judged},
                source,
                begun_with,
                lambda query_id: asdict(bench.first_pass(query_id)),
                bench.expanded,
                resume=resume,
                progress=advance,
            )
        except (KeyboardInterrupt, LLMError, ElasticsearchError, EvaluationError):
            err.print(f"What is known is kept in {out_dir}: the same command with --resume goes on.", markup=False)
            raise
    about |= {"command": shlex.join(["bothways", *sys.argv[1:]])}
    report = _finish(out_dir, samples, _frame(options, chosen, price), about, margin=margin, judged=judged)
    if as_json:
        print_json(report)
    else:
        _show(report, out_dir)


def _source(chosen: Settings, expansions: Path | None, n: int | None, temperature: float) -> Source:
    if expansions is not None:
        return RecordedSamples(expansions, at_most=n)
    llm = load_llm(chosen, temperature=temperature)
    if llm is None:
        raise UsageError(
            "There is no language model to sample from: set BOTHWAYS_LLM_BASE_URL or BOTHWAYS_LLM_LOCAL_MODEL, or "
            "name recorded ones by --expansions FILE."
        )
    return ModelSamples(
        llm, n or 4, temperature=temperature, timeout_s=chosen.llm_timeout_s, concurrency=chosen.llm_concurrency
    )


def _compared(options: SearchOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in _COMPARED}


def _frame(options: SearchOptions, chosen: Settings, price: float) -> Frame:
    return Frame(
        strategy=options.strategy,
        embedding_model=chosen.embedding_model,
        with_bm25="bm25" in LEGS[options.strategy],
        price=price,
    )


def _finish(
    folder: Path,
    samples: Samples,
    frame: Frame,
    about: Mapping[str, Any],
    *,
    margin: float,
    judged: list[JudgedQuery],
) -> dict[str, Any]:
    """Write report, rule and pairs; returns the report."""
    examples = [_example(samples, query.query_id) for query in judged if query.query_id in samples.queries]
    told, rule = summarise(examples, frame)
    train = frozenset(query.query_id for query in judged if split_of(query.query_id) == "train")
    pairs = write_pairs(folder, samples, train, margin=margin, about=about)
    counts = {
        "queries": len(examples),
        "without_expansion": samples.without,
        "samples": sum(len(some) for some in samples.samples.values()),
        "failed_samples": samples.failed,
        "preference_pairs": pairs,
    }
    origin = {**about, "made_at": datetime.now(UTC).isoformat(timespec="seconds")}
    report = {**origin, "counts": counts, **told, "rule": None}
    if rule is not None:
        rule = about_rule(rule, told, origin)
        report["rule"] = str(folder / RULE)
        (folder / RULE).write_text(rule.as_json(), "utf-8")
    write_json(folder / "report.json", report)
    (folder / "report.md").write_text(page(report), "utf-8")
    return report


def _example(samples: Samples, query_id: str) -> Example:
    row = samples.queries[query_id]
    first = FirstPass(value=row["value"], signs=row["signs"], in_use=row["in_use"], may_ask=row["may_ask"])
    return Example(query_id, first, [one.reward for one in samples.samples[query_id]])


def _show(report: Mapping[str, Any], folder: Path) -> None:
    out.print(page(report), markup=False)
    if report["rule"]:
        err.print(
            f"The rule is in force with BOTHWAYS_EXPANSION_RULE={report['rule']} wherever `rewrite` is `auto`; "
            "measure it with --split dev, once.",
            markup=False,
        )
    if pairs := report["counts"]["preference_pairs"]:
        err.print(f"{pairs} preference pairs are in {folder / PAIRS}.", markup=False)
