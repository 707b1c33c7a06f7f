"""New questions for chunks, by the language model, with what users asked as hints and never as copies.

Tasks and their chunks go in, `Rewritten` chunks come out. Answers are kept in the cache, so that a run that is cut off,
or whose candidate is refused, pays for nothing twice.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from bothways.core.datatypes import Failure
from bothways.core.errors import LLMError, LLMUnavailableError
from bothways.core.prompts import Prompt
from bothways.core.text.passage import passage
from bothways.indexer.doc2query.expand import next_learnt
from bothways.indexer.doc2query.parse_questions import clean_questions, split_answer
from bothways.indexer.doc2query.question_writer import QUESTIONS_SCHEMA, TOKENS_A_QUESTION
from bothways.indexer.workers.overlap import overlapped
from bothways.learning.leakage import LeakageFilter
from bothways.learning.weekly.questions.worklist import Task
from bothways.models.llm.answer_cache import AnswerCache, cache_key
from bothways.models.llm.language_model import LanguageModel
from bothways.models.llm.usage import TokenUsage, estimate_tokens

REWRITE = Prompt("bothways.learning.weekly.questions", "rewrite", data="material")

SPARE = 2
"""Questions that are asked for beyond those wanted, as some will be too near to a hint."""
HINTS = 5
"""Questions of users of either kind that the model is shown: those of which most is known."""
HINT_CHARS = 120
GIVE_UP_AFTER = 5
"""Chunks in a row for which nobody answers, after which the language model is taken to be dead."""

Progress = Callable[[int, int], None]
"""Called with the chunks done and their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A chunk as the live version has it."""

    chunk_id: str
    title: str
    heading: str
    text: str
    content_hash: str
    generation: str
    questions: tuple[str, ...]

    @property
    def passage(self) -> str:
        """What questions are asked about: heading or title, then the text."""
        return passage(self.heading or self.title, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A chunk with its new questions, and what of them was dropped, by what it nearly equals."""

    task: Task
    chunk: Known
    questions: tuple[str, ...]
    generation: str
    dropped: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class Rewriting:
    """What became of the tasks: chunks with new questions, those that failed and go on as they are, and the cost."""

    done: list[Rewritten] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    cached: int = 0
    usage: TokenUsage = field(default_factory=TokenUsage)


class HintedWriter:
    """Asks a language model for `n` questions a chunk, with hints; `kept_out` names sets of questions to avoid.

    A question that equals or nearly equals one of a set is dropped and counted by the set's name.
    """

    def __init__(
        self, llm: LanguageModel, cache: AnswerCache, *, n: int, kept_out: Mapping[str, LeakageFilter]
    ) -> None:
        self._llm = llm
        self._cache = cache
        self._n = n
        self._kept_out = kept_out
        self._lock = threading.Lock()
        self.calls = 0
        self.cached = 0
        self.answered = False
        """Whether the model ever gave questions, whatever became of them."""

    @property
    def usage(self) -> TokenUsage:
        """Tokens of the language model so far."""
        return self._llm.usage

    def write(self, task: Task, chunk: Known) -> Rewritten:
        """Return a chunk new questions; raises `LLMError` where the answer has none that may be used."""
        material = material_of(task, chunk)
        key = cache_key("rewritten", material, REWRITE.version, self._llm.name, str(self._n))
        kept = self._cache.get(key)
        with self._lock:
            self.cached += kept is not None
            self.calls += kept is None
        raw = json.loads(kept) if kept is not None else self._ask(material, chunk)
        cleaned = clean_questions(raw, n=self._n + SPARE, text=chunk.text)
        if not cleaned:
            raise LLMError("The language model's answer holds no usable question.")
        self.answered = True
        if kept is None:
            self._cache.put(key, json.dumps(raw))
        dropped: Counter[str] = Counter()
        questions = []
        for question in cleaned:
            too_near = next((name for name, texts in self._kept_out.items() if texts.match(question)), None)
            if too_near is None:
                questions.append(question)
            else:
                dropped[too_near] += 1
        if not questions:
            raise LLMError(f"All {len(cleaned)} questions of the language model are copies of what users asked.")
        # What draws searches that it does not answer gets no more questions than it had: each one draws some.
        most = self._n if task.successful else min(self._n, max(1, len(chunk.questions)))
        return Rewritten(
            task=task,
            chunk=chunk,
            questions=tuple(questions[:most]),
            generation=next_learnt(chunk.generation),
            dropped=dropped,
        )

    def estimate(self, task: Task, chunk: Known) -> TokenUsage:
        """Guess the tokens of a call."""
        prompt = REWRITE.fill(material_of(task, chunk), like=chunk.text, n=self._n + SPARE)
        return TokenUsage(estimate_tokens(prompt), (self._n + SPARE) * TOKENS_A_QUESTION)

    def _ask(self, material: str, chunk: Known) -> list[str]:
        prompt = REWRITE.fill(material, like=chunk.text, n=self._n + SPARE)
        return split_answer(self._llm.generate(prompt, json_schema=QUESTIONS_SCHEMA))


def material_of(task: Task, chunk: Known) -> str:
    """Write down what the model is shown, as JSON: no text of a user or a document can pass for another part of it."""
    shown = {
        "passage": chunk.passage,
        "answered": [_one_line(text) for text in task.successful[:HINTS]],
        "not_answered": [_one_line(text) for text in task.failed[:HINTS]],
        "now": list(chunk.questions),
    }
    return json.dumps(shown, ensure_ascii=False, indent=1)


def rewrite(
    tasks: Sequence[Task],
    chunks: Mapping[str, Known],
    writer: HintedWriter,
    *,
    concurrency: int,
    progress: Progress = lambda _done, _of: None,
) -> Rewriting:
    """Write new questions for the tasks' chunks, several at once, in order.

    A chunk for which the model has no answer is a failure and keeps its questions; a later run asks again. Raises
    `LLMUnavailableError` where nobody answers at all, or no longer: what was answered is kept for the next run.
    """
    found = Rewriting()
    used_before = writer.usage
    todo = [task for task in tasks if task.chunk_id in chunks]
    found.failures += [
        Failure(stage="expand", item=task.chunk_id, reason="it is not in the collection any more")
        for task in tasks
        if task.chunk_id not in chunks
    ]
    silent = 0
    outcomes = overlapped(
        lambda task: (task, _outcome(writer, task, chunks[task.chunk_id])),
        todo,
        threads=concurrency,
        ahead=2 * concurrency,
        stop=threading.Event(),
        name="rewrite",
    )
    with closing(outcomes):
        for number, (task, outcome) in enumerate(outcomes, start=1):
            if isinstance(outcome, Rewritten):
                found.done.append(outcome)
                found.dropped.update(outcome.dropped)
                silent = 0
            else:
                found.failures.append(
                    Failure(stage="expand", item=task.chunk_id, reason=str(outcome), title=chunks[task.chunk_id].title)
                )
                silent = silent + 1 if isinstance(outcome, LLMUnavailableError) else 0
                if silent and (silent >= GIVE_UP_AFTER or not found.done):
                    raise LLMUnavailableError(_dead(str(outcome), number, len(todo))) from outcome
            progress(number, len(todo))
    if todo and not found.done and not writer.answered:
        # A wrong model or address refuses everything; that is no answer about any chunk.
        raise LLMUnavailableError(_dead(found.failures[-1].reason, len(todo), len(todo)))
    found.calls, found.cached = writer.calls, writer.cached
    found.usage = writer.usage - used_before
    return found


def _outcome(writer: HintedWriter, task: Task, chunk: Known) -> Rewritten | LLMError:
    try:
        return writer.write(task, chunk)
    except LLMError as error:
        return error


def _dead(reason: str, number: int, of: int) -> str:
    return (
        f"The language model gives no questions ({number} of {of} chunks asked about): {reason} Nothing was changed; "
        "its answers so far are kept, so run the same command again when it answers."
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= HINT_CHARS else line[: HINT_CHARS - 1] + "…"
