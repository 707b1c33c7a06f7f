"""A better eye for a small encoder: it learns the scores that a teacher gives, and how much of it to keep is measured.

Top to bottom: mine questions and candidates, let the teacher score them, train, choose how far to go from the base
(on questions held out of training), save, measure before and after in the domain and outside of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bothways.core.datatypes import Vector
from bothways.core.errors import UsageError
from bothways.core.settings import Settings
from bothways.learning.distill.state import FOLDER, Distillation, begin_logits
from bothways.learning.distill.teacher import TeacherArguments, fingerprint, load_teacher, teacher_folder
from bothways.learning.distill.teacher_logits import read_logits, write_logits
from bothways.learning.encoder.data import (
    QUESTION,
    Bench,
    Progress,
    allowed,
    bench_of_questions,
    choose,
    mine_candidates,
    read_corpus,
    searching_whole,
)
from bothways.learning.encoder.measure import JudgedParts, StudentEncoder, measure_dev, tune
from bothways.learning.encoder.report import write_encoder_report
from bothways.learning.encoder.train import (
    add_graph,
    load_student,
    query_prompt,
    save_encoder,
    train_encoder,
    weights_of,
)
from bothways.learning.leakage import LeakageFilter
from bothways.learning.reranker.build import Mine, Sources
from bothways.learning.reranker.data.build import MiningOptions
from bothways.learning.reranker.data.groups import Group, read_groups, write_groups
from bothways.learning.reranker.train import OnLog, base_folder, check_extra
from bothways.learning.training_arguments import EncoderArguments
from bothways.models.embed.encoder import load_encoder
from bothways.models.files.folder import read_json
from bothways.models.protocols import Encoder

SEARCH = "search"
TEMPERATURES = {SEARCH: 0.1, "encoder": 0.02, "cross-encoder": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderPlan:
    """What a distillation of an encoder is to do.

    `domain` is learnt, `general` (train parts alone) is what the base is to stay good at; `judged` are the queries of
    the dev splits, of (domain, general), that are measured before and after.
    """

    out: Path
    domain: Sources
    general: Sources
    arguments: EncoderArguments
    judged: JudgedParts = ((), ())
    max_questions: int | None = None
    minutes: float | None = None
    resume: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What was mined: groups to learn (with scores) and benches to choose by."""

    domain: list[Group]
    general: list[Group]
    benches: tuple[list[Bench], list[Bench]]


def distill_encoder(
    settings: Settings,
    plan: EncoderPlan,
    *,
    progress: Progress = lambda _done, _of: None,
    on_log: OnLog = lambda _step, _of, _logs: None,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Run a plan; returns what report.json says.

    Raises `UsageError` where there is nothing to learn from or `out` is of another distillation; otherwise as loading
    models, searching and training do. `KeyboardInterrupt` leaves what is needed to go on.
    """
    check_extra()
    base = base_folder(plan.arguments.base, cache_dir=settings.cache_dir)
    arguments = _with_temperature(settings, plan.arguments)
    mines = [
        Mine(settings, sources, MiningOptions()) if _named(sources) else None for sources in (plan.domain, plan.general)
    ]
    state = begin_logits(plan.out, _facts(plan, arguments, base, mines), command=plan.command, resume=plan.resume)
    size = {"texts": plan.arguments.final_texts, "seed": plan.arguments.seed}
    if "before" not in state.counts:
        say("measuring the base")
        state.counts["before"] = measure_dev(settings, str(base), plan.judged, **size)
        state.write(plan.out)
    material = _mine(plan, state, mines, progress)
    domain = _taught(settings, plan, material.domain, progress)
    taught = _teacher_vectors(settings, arguments, domain)
    prompt = query_prompt(base, settings.query_prompt)
    student, tokenizer = load_student(base, arguments)
    untouched = weights_of(student)
    encoder = StudentEncoder(student, tokenizer, prompt=prompt, max_length=arguments.max_length)
    say(f"{len(domain)} questions to learn, {len(material.general)} general ones")
    done = train_encoder(
        student,
        tokenizer,
        domain,
        material.general,
        arguments,
        plan.out / FOLDER,
        taught=taught,
        base_vectors=_vectors(encoder, material.general),
        prompt=prompt,
        minutes=plan.minutes,
        on_log=on_log,
    )
    tuning = tune(student, encoder, untouched, material.benches, max_loss=arguments.max_loss, say=say)
    save_encoder(student, base, plan.out)
    say("measuring what was made of it")
    if settings.model_backend != "torch":
        add_graph(plan.out, cache_dir=settings.cache_dir)
    after = measure_dev(settings, str(plan.out), plan.judged, **size)
    before = state.counts["before"]
    return write_encoder_report(plan.out, state, arguments.model_dump(), asdict(done), tuning, before, after)


def _with_temperature(settings: Settings, arguments: EncoderArguments) -> EncoderArguments:
    if arguments.teacher_temperature is not None:
        return arguments
    kind = SEARCH if arguments.teacher == SEARCH else _kind(settings, arguments.teacher)
    return arguments.model_copy(update={"teacher_temperature": TEMPERATURES[kind]})


def _kind(settings: Settings, teacher: str) -> str:
    folder = teacher_folder(teacher, cache_dir=settings.cache_dir)
    architectures = (read_json(folder / "config.json") or {}).get("architectures") or []
    pooled = (folder / "modules.json").is_file()  # some encoders are causal language models, pooled
    judges = any("ForSequenceClassification" in name for name in architectures) or (
        not pooled and any("ForCausalLM" in name for name in architectures)
    )
    return "cross-encoder" if judges else "encoder"


def _named(sources: Sources) -> bool:
    return bool(sources.collections or sources.judged)


def _facts(plan: EncoderPlan, arguments: EncoderArguments, base: Path, mines: Sequence[Mine | None]) -> dict[str, Any]:
    data = {
        f"{name} {fact}": value
        for name, mine in zip(("domain", "general"), mines, strict=True)
        for fact, value in (mine.facts(base) if mine else {}).items()
        if fact in {"collections", "pseudo_questions", "files", "judged", "keep_out"}
    }
    return {
        **arguments.model_dump(exclude={"max_loss", "final_texts", "teacher_batch_size"}),
        "base_fingerprint": fingerprint(base),
        "max_questions": plan.max_questions,
        **data,
    }


def _mine(plan: EncoderPlan, state: Distillation, mines: Sequence[Mine | None], progress: Progress) -> Material:
    domain_mine, general_mine = mines
    if domain_mine is None:
        raise UsageError("There is nothing to learn from: name --collection or --beir.")
    found: list[tuple[list[Group], list[Bench]]] = []
    share = plan.arguments.general_share
    for name, mine in (("domain", domain_mine), ("general", general_mine)):
        at_most = plan.max_questions
        if at_most is not None and name == "general":
            at_most = max(2, round(at_most * share / (1 - share)))
        found.append(_mined(plan, state, name, mine, at_most, progress) if mine else ([], []))
    return Material(found[0][0], found[1][0], (found[0][1], found[1][1]))


def _mined(
    plan: EncoderPlan, state: Distillation, name: str, mine: Mine, at_most: int | None, progress: Progress
) -> tuple[list[Group], list[Bench]]:
    client, seed = mine.searcher.client, plan.arguments.seed
    corpora = {one: read_corpus(client, opened.index) for one, opened in mine.opened.items()}
    counts: Counter[str] = Counter()
    kept_out = LeakageFilter([*plan.domain.keep_out, *plan.general.keep_out])
    learnt, kept = choose(allowed(mine.asked(), kept_out, counts), at_most=at_most, seed=seed)
    of = {one: [asked for asked in kept if asked.collection == one] for one in corpora}
    size = {"queries": 200, "texts": plan.arguments.bench_texts, "seed": seed}
    benches = [bench_of_questions(one, corpora[one], asked, **size) for one, asked in of.items() if asked]
    path = plan.out / FOLDER / f"{name}.jsonl"
    if path.is_file():
        return read_groups(path), benches
    texts = {chunk: text for one in corpora.values() for chunk, text in zip(one.chunk_ids, one.texts, strict=True)}
    groups = mine_candidates(
        learnt,
        searching_whole(mine.searcher, depth=30),
        texts,
        number=plan.arguments.candidates,
        seed=seed,
        progress=progress,
    )
    if not groups:
        raise UsageError(f"None of {len(learnt)} questions ({name}) found a candidate beside its answer.")
    write_groups(path, groups)
    state.counts[name] = {**counts, "held out": len(kept), "learnt": len(groups)}
    state.write(plan.out)
    return groups, benches


def _taught(settings: Settings, plan: EncoderPlan, groups: list[Group], progress: Progress) -> list[Group]:
    """Return the groups with a cross-encoder's scores, where one teaches; else as they are."""
    teacher = plan.arguments.teacher
    if teacher == SEARCH or _kind(settings, teacher) == "encoder":
        return groups
    arguments = TeacherArguments(name=teacher, batch_size=plan.arguments.teacher_batch_size)
    load = partial(load_teacher, arguments, cache_dir=settings.cache_dir)
    folder = plan.out / FOLDER / "logits"
    write_logits(groups, load, folder, batch_size=arguments.batch_size, progress=progress)
    return read_logits(groups, folder)[0]


def _teacher_vectors(
    settings: Settings, arguments: EncoderArguments, groups: Sequence[Group]
) -> Mapping[str, Vector] | None:
    if arguments.teacher == SEARCH or _kind(settings, arguments.teacher) != "encoder":
        return None
    return _vectors(load_encoder(settings.model_copy(update={"embedding_model": arguments.teacher})), groups)


def _vectors(encoder: Encoder | StudentEncoder, groups: Sequence[Group]) -> dict[str, Vector]:
    """Return the vectors of all passages by text, and of all questions by `QUESTION` and text."""
    texts = list(dict.fromkeys(text for group in groups for text in group.passages))
    queries = list(dict.fromkeys(group.query for group in groups))
    found = dict(zip(texts, encoder.encode_documents(texts), strict=True)) if texts else {}
    asked: Sequence[Vector] = list(encoder.encode_queries(queries)) if queries else []
    return {**found, **{f"{QUESTION}{text}": vector for text, vector in zip(queries, asked, strict=True)}}
