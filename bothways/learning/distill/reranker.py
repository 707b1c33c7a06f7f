"""A large reranker's judgment into a small one, in four steps that run alone or together.

`logits`: questions and mined candidates go to the teacher, its logits to disk. `triplets`: groups get its scores.
`train`: the student learns them. `evaluate`: what came of it, beside the teacher, on groups kept aside and in searches.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bothways.core.errors import UsageError
from bothways.core.machine.private_files import write_json
from bothways.core.settings import Settings
from bothways.learning.distill.evaluate import Models, evaluate_rerankers, evaluation_page
from bothways.learning.distill.state import (
    FOLDER,
    begin_logits,
    logits_folder,
    mined_file,
    read_distillation,
    triplets_file,
)
from bothways.learning.distill.teacher import (
    Teacher,
    TeacherArguments,
    can_serve,
    fingerprint,
    kind_of,
    load_teacher,
    teacher_folder,
)
from bothways.learning.distill.teacher_logits import read_logits, write_logits
from bothways.learning.pages import CARD
from bothways.learning.reranker.build import Mine, Sources
from bothways.learning.reranker.data.build import MiningOptions, Progress
from bothways.learning.reranker.data.groups import Group, JudgedSet, read_groups, write_groups
from bothways.learning.reranker.report import write_report
from bothways.learning.reranker.state import begin, groups_file, has_begun, read_training
from bothways.learning.reranker.train import OnLog, base_folder, check_extra, train
from bothways.learning.run_folder import sha256_of
from bothways.learning.training_arguments import TAUGHT, RerankerArguments

Step = Literal["logits", "triplets", "train", "evaluate"]
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a distillation is to do.

    `groups`: a folder that `bothways learn reranker` trained in, whose groups are taken instead of mining; `judged`:
    queries that searches are measured by, of which nothing is learnt. `minutes`: of the training.
    """

    out: Path
    steps: Sequence[Step]
    sources: Sources
    mining: MiningOptions
    teacher: TeacherArguments
    training: RerankerArguments
    groups: Path | None = None
    judged: Sequence[JudgedSet] = ()
    minutes: float | None = None
    resume: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how far it is: mining, the teacher, the training."""

    mining: Progress = lambda _done, _of: None
    teacher: Progress = lambda _done, _of: None
    training: OnLog = lambda _step, _of, _logs: None


def distill_reranker(settings: Settings, plan: Plan, watch: Watch | None = None) -> dict[str, Any]:
    """Run the steps of a plan; returns what each of them says, by its name.

    Raises `UsageError` where a step lacks what an earlier one makes, or `out` is of another distillation; otherwise as
    loading models, mining and training do. `KeyboardInterrupt` leaves what is needed to go on.
    """
    watch = watch or Watch()
    if plan.training.loss not in TAUGHT:
        raise UsageError(f"The loss {plan.training.loss} learns from no teacher: {', '.join(sorted(TAUGHT))} do.")
    done: dict[str, Callable[[], dict[str, Any]]] = {
        "logits": lambda: _logits(settings, plan, watch),
        "triplets": lambda: _triplets(plan),
        "train": lambda: _train(settings, plan, watch),
        "evaluate": lambda: _evaluate(settings, plan),
    }
    return {step: done[step]() for step in STEPS if step in plan.steps}


def _logits(settings: Settings, plan: Plan, watch: Watch) -> dict[str, Any]:
    student = base_folder(plan.training.base, cache_dir=settings.cache_dir)
    teacher = teacher_folder(plan.teacher.name, cache_dir=settings.cache_dir)
    arguments = plan.teacher.model_copy(update={"kind": plan.teacher.kind or kind_of(teacher)})
    mine = None if plan.groups else Mine(settings, plan.sources, plan.mining)
    facts = _facts(plan, arguments, teacher, student, mine)
    begun = begin_logits(plan.out, facts, command=plan.command, resume=plan.resume)
    path = mined_file(plan.out)
    if path.is_file():
        groups = read_groups(path)
    else:
        if mine is None:
            assert plan.groups is not None  # noqa: S101 - one of the two
            groups, counts = (
                drawn_groups(read_groups(groups_file(plan.groups)), plan.mining),
                read_training(plan.groups).counts,
            )
        else:
            groups, mined = mine.groups(student, max_length=plan.training.max_length, progress=watch.mining)
            counts = mined.as_dict()
        write_groups(path, groups)
        begun.counts = counts
        begun.write(plan.out)

    def load() -> Teacher:
        return load_teacher(arguments, cache_dir=settings.cache_dir)

    shards = write_logits(
        groups, load, logits_folder(plan.out), batch_size=plan.teacher.batch_size, progress=watch.teacher
    )
    begun.counts["groups"] = {part: sum(group.part == part for group in groups) for part in ("train", "dev")}
    begun.write(plan.out)
    return {"groups": len(groups), "pairs": sum(len(group.passages) for group in groups), "shards_written": shards}


def drawn_groups(groups: Sequence[Group], mining: MiningOptions) -> list[Group]:
    """Keep all groups that are measured, and so many to train on that there are `max_groups`, drawn by the seed."""
    learnt = [place for place, group in enumerate(groups) if group.part == "train"]
    if mining.max_groups is None or len(groups) <= mining.max_groups:
        return list(groups)
    number = max(1, mining.max_groups - (len(groups) - len(learnt)))
    chosen = frozenset(random.Random(mining.seed).sample(learnt, min(number, len(learnt))))  # noqa: S311 - no secret
    return [group for place, group in enumerate(groups) if group.part == "dev" or place in chosen]


def _triplets(plan: Plan) -> dict[str, Any]:
    """Join groups and scores; says how often the teacher has the answer first, which bounds what it can teach."""
    read_distillation(plan.out)
    scored, _ = read_logits(read_groups(mined_file(plan.out)), logits_folder(plan.out))
    write_groups(triplets_file(plan.out), scored)
    first = sum(group.scores[0] > max(group.scores[1:]) for group in scored)
    triplets = sum(len(group.negatives) for group in scored)
    return {"groups": len(scored), "triplets": triplets, "answer_first": round(first / max(1, len(scored)), 4)}


def _train(settings: Settings, plan: Plan, watch: Watch) -> dict[str, Any]:
    check_extra()
    known = read_distillation(plan.out)
    if not triplets_file(plan.out).is_file():
        raise UsageError(f"There are no triplets in {plan.out / FOLDER}: run the step `triplets` first.")
    groups = read_groups(triplets_file(plan.out))
    base = base_folder(plan.training.base, cache_dir=settings.cache_dir)
    sources = {**known.facts, "student": fingerprint(base), "triplets_sha256": sha256_of(triplets_file(plan.out))}
    training = begin(
        plan.out,
        plan.training,
        sources,
        command=plan.command,
        resume=has_begun(plan.out),
        beside=frozenset({FOLDER}),
    )
    if not training.groups_sha256:
        training.write_groups(plan.out, groups, known.counts)
    trained = train(groups, training, plan.out, base=base, minutes=plan.minutes, on_log=watch.training)
    return write_report(plan.out, training, trained)


def _evaluate(settings: Settings, plan: Plan) -> dict[str, Any]:
    known = read_distillation(plan.out)
    if not (plan.out / "report.json").is_file():
        raise UsageError(f"There is no trained student in {plan.out}: run the step `train` first.")
    trained = json.loads((plan.out / "report.json").read_text("utf-8"))
    scored, teacher_ms = read_logits(read_groups(mined_file(plan.out)), logits_folder(plan.out))
    teacher = known.facts["teacher"]
    models = Models(
        student=str(plan.out),
        teacher=teacher["name"],
        serves=can_serve(teacher["name"], teacher["kind"], cache_dir=settings.cache_dir),
        untrained=trained["untrained"],
        teacher_ms=teacher_ms,
    )
    report = evaluate_rerankers(settings, models, [group for group in scored if group.part == "dev"], plan.judged)
    folder = plan.out / FOLDER
    write_json(folder / "evaluation.json", report)
    page = evaluation_page(report)
    (folder / "evaluation.md").write_text(page, "utf-8")
    card, marker = (plan.out / CARD).read_text("utf-8"), "\n## Before, after and the teacher\n"
    (plan.out / CARD).write_text(f"{card.partition(marker)[0].rstrip()}\n{marker}\n{page}", "utf-8")
    return report


def _facts(plan: Plan, teacher: TeacherArguments, teacher_in: Path, student: Path, mine: Mine | None) -> dict[str, Any]:
    """Return what tells two distillations' logits can be told apart: teacher, questions, and how passages were cut."""
    if mine is None:
        assert plan.groups is not None  # noqa: S101 - one of the two
        data: dict[str, Any] = {
            "groups_sha256": sha256_of(groups_file(plan.groups)),
            "drawn": None if plan.mining.max_groups is None else [plan.mining.max_groups, plan.mining.seed],
        }
    else:
        data = {
            **{name: value for name, value in mine.facts(student).items() if name != "base_sha256"},
            "max_length": plan.training.max_length,
            "tokenizer_sha256": sha256_of(student / "tokenizer.json"),
        }
    return {"teacher": {**teacher.model_dump(exclude={"batch_size"}), "fingerprint": fingerprint(teacher_in)}, **data}
