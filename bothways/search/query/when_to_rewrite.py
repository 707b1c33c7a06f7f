"""When `rewrite: "auto"` asks the language model: signs of the first pass in, a decision with its reasons out.

Expansion harms questions that are answered well already (Weller et al. 2023, "When do Generative Query and Document
Expansions Fail?"). Without a rule, a question is expanded where its first hit hardly stands out from its tenth. A rule
is learnt by `bothways learn expansion` from what expansions brought to judged questions. It is a small JSON file that
BOTHWAYS_EXPANSION_RULE names: a linear score of signs, above 0 where the call is worth it. Signs are known before any
language model is called; most of them are performance predictors of the literature. docs/decisions/query-rewriting.md
has the measurements.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from bothways.core.datatypes import Leg
from bothways.core.errors import SettingsError
from bothways.core.results import Expansion, Hit
from bothways.core.settings import Settings
from bothways.search.options import LEGS
from bothways.search.rank.combine import by_score
from bothways.search.rank.fuse import dense_mean

Legs = Mapping[Leg, Sequence[Hit]]
Kind = Literal["never", "always", "gap", "logistic"]
FORMAT = 1
BUILT_IN = "built-in"
DEPTH = 10
WEIGHT_BM25 = 0.2
WEAK = 0.10
"""The least gap between the first and the tenth score: below it were 23 and 31 % of 1,003 lay questions (with and
without pseudo-questions in the index)."""
WEAK_DENSE = 0.07
"""The same where only vectors are searched: 25 and 27 %."""

SIGNS: Mapping[str, str] = {
    "length": "log(1 + characters of the question)",
    "gap_2": "fused score of the first hit less the second's",
    "gap_5": "less the fifth's",
    "gap_10": "less the tenth's",
    "dense_top": "best dense score",
    "dense_gap": "dense score of the first less the tenth's",
    "dense_spread": "standard deviation of the first ten dense scores (as NQC, Shtok et al. 2012)",
    "bm25_top": "best BM25 score",
    "bm25_gap": "BM25 score of the first less the tenth's, as a share of the first's",
    "bm25_spread": "standard deviation of the first ten BM25 scores, as a share of their mean (as NQC)",
    "agreement": "share of the first ten that BM25 and dense have in common",
}
"""The signs by name, with what they are."""


@dataclass(frozen=True, slots=True)
class Term:
    """One sign in a rule: its weight, after it is scaled to mean 0 and deviation 1 of the training queries."""

    weight: float
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpansionRule:
    """A linear score of signs; the language model is asked where it is above 0. `never` and `always` have no terms.

    The rule holds for the `strategy` and `embedding_model` that it was learnt with; others have scores on other scales.
    `about` says where it comes from.
    """

    kind: Kind
    intercept: float
    terms: Mapping[str, Term]
    strategy: str
    embedding_model: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def score(self, values: Mapping[str, float]) -> float | None:
        """Return the score, for `logistic` as log-odds; None where a sign is missing that the rule needs."""
        if any(name not in values for name in self.terms):
            return None
        return self.intercept + sum(
            term.weight * (values[name] - term.mean) / term.scale for name, term in self.terms.items()
        )

    def is_for(self, legs: Legs) -> bool:
        """Return whether it was learnt with such legs: with BM25, or with vectors alone."""
        return ("bm25" in LEGS[self.strategy]) == bool(legs.get("bm25"))  # type: ignore[index]

    def as_json(self) -> str:
        """Return the content of its file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def decide(rule: ExpansionRule | None, question: str, legs: Legs, *, depth: int) -> Expansion:
    """Decide after a first pass whether to ask for a pseudo-document; `depth` is the hits each leg was asked for.

    Where the rule cannot be applied (other legs, fewer than ten hits for its signs), the built-in bound decides. Where
    no vectors answered, the question is not expanded: only they use a pseudo-document.
    """
    values = signs(question, legs, depth=depth)
    if not (legs.get("text_sem") or legs.get("questions")):
        return Expansion(wanted=False, rule=BUILT_IN, score=None, signs=values)
    if rule is not None and rule.is_for(legs) and (score := rule.score(values)) is not None:
        return Expansion(wanted=score > 0, rule=rule.kind, score=score, signs=values)
    score = weakness(legs, depth=depth)
    return Expansion(wanted=score is not None and score > 0, rule=BUILT_IN, score=score, signs=values)


def weakness(legs: Legs, *, depth: int) -> float | None:
    """Return how far the first hit is from standing out: above 0 it does not, below 0 it does.

    Scores are those of `by_score` (0 to 1). None where there are fewer than ten hits, as in a small collection or with
    a filter, or no dense ones.
    """
    bm25, _, fused = _rankings(legs, depth)
    if len(fused) < DEPTH:
        return None
    return (WEAK if bm25 else WEAK_DENSE) - (fused[0].score - fused[DEPTH - 1].score)


def signs(question: str, legs: Legs, *, depth: int) -> dict[str, float]:
    """Return the signs of a first pass, as far as there are ten hits for them; see `SIGNS`."""
    bm25, dense, hits = _rankings(legs, depth)
    fused = _scores(hits)
    values = {"length": math.log1p(len("".join(question.split())))}
    if len(fused) >= DEPTH:
        values |= {f"gap_{rank}": float(fused[0] - fused[rank - 1]) for rank in (2, 5, DEPTH)}
    if len(dense) >= DEPTH:
        top = _scores(dense)[:DEPTH]
        values |= {"dense_top": top[0], "dense_gap": top[0] - top[-1], "dense_spread": top.std()}
    if len(bm25) >= DEPTH and (top := _scores(bm25)[:DEPTH])[0] > 0:
        values |= {"bm25_top": top[0], "bm25_gap": 1 - top[-1] / top[0], "bm25_spread": top.std() / top.mean()}
    if bm25 and dense:
        shared = {hit.chunk_id for hit in bm25[:DEPTH]} & {hit.chunk_id for hit in dense[:DEPTH]}
        values["agreement"] = len(shared) / DEPTH
    return {name: float(value) for name, value in values.items()}


def _rankings(legs: Legs, depth: int) -> tuple[Sequence[Hit], Sequence[Hit], Sequence[Hit]]:
    """Return the rankings of BM25 and of the dense legs, and both fused, which is empty without dense hits."""
    bm25 = legs.get("bm25", ())
    dense = dense_mean(legs.get("text_sem", ()), legs.get("questions", ()))
    return bm25, dense, by_score(bm25, dense, weight=WEIGHT_BM25, depth=depth) if dense else ()


def _scores(hits: Sequence[Hit]) -> np.typing.NDArray[np.float64]:
    return np.array([hit.score for hit in hits], dtype=float)


def load_rule(settings: Settings) -> ExpansionRule | None:
    """Read the rule that the settings name; raises `SettingsError` where it is broken or of another embedding model."""
    if settings.expansion_rule is None:
        return None
    rule = read_rule(settings.expansion_rule)
    if rule.embedding_model != settings.embedding_model:
        raise SettingsError(
            f"BOTHWAYS_EXPANSION_RULE: {settings.expansion_rule} was learnt with the embedding model "
            f"{rule.embedding_model!r}, in use is {settings.embedding_model!r}: learn it again, or remove the "
            "setting."
        )
    return rule


def read_rule(path: Path) -> ExpansionRule:
    """Read a rule's file; raises `SettingsError` with what is wrong."""
    try:
        row = json.loads(path.read_text("utf-8"))
        return _rule(row)
    except OSError as error:
        raise SettingsError(f"BOTHWAYS_EXPANSION_RULE: {path} cannot be read: {error.strerror or error}.") from error
    except KeyError as error:
        raise _broken(path, f"{error.args[0]!r} is missing") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(path, str(error)) from error


def _broken(path: Path, why: str) -> SettingsError:
    return SettingsError(f"BOTHWAYS_EXPANSION_RULE: {path} is not a rule of `bothways learn expansion` ({why[:200]}).")


def _rule(row: Any) -> ExpansionRule:  # noqa: ANN401 – whatever stands in the file
    if not isinstance(row, dict):
        raise TypeError("not a JSON object")
    if row["format"] != FORMAT:
        raise ValueError(f"its format is {row['format']!r}, this version reads {FORMAT}")
    if row["kind"] not in get_args(Kind):
        raise ValueError(f"its kind is {row['kind']!r}, known are {', '.join(get_args(Kind))}")
    if row["strategy"] not in LEGS:
        raise ValueError(f"there is no strategy {row['strategy']!r}")
    unknown = [name for name in row["terms"] if name not in SIGNS]
    if unknown:
        raise ValueError(f"there is no sign {unknown[0]!r}; there are {', '.join(SIGNS)}")
    terms = {name: _term(term, name) for name, term in row["terms"].items()}
    if bool(terms) != (row["kind"] in {"gap", "logistic"}):
        raise ValueError(f"{row['kind']!r} with {len(terms)} terms")
    return ExpansionRule(
        kind=row["kind"],
        intercept=_number(row["intercept"], "intercept"),
        terms=terms,
        strategy=row["strategy"],
        embedding_model=str(row["embedding_model"]),
        about=dict(row.get("about", {})),
    )


def _term(row: Any, name: str) -> Term:  # noqa: ANN401
    weight, mean, scale = (_number(row[key], f"{key} of {name}") for key in ("weight", "mean", "scale"))
    if scale <= 0:
        raise ValueError(f"the scale of {name} is not above 0")
    return Term(weight, mean, scale)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is no number: {value!r}")
    return float(value)
