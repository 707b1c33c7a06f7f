"""Preference pairs for fine-tuning the language model: of one query's samples the best and the worst, by reward.

In the form of TRL's preference data sets (conversational, with an explicit prompt), as DPO and its like are trained
with: https://huggingface.co/docs/trl/dataset_formats#preference. A card beside them says how they were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bothways.learning.expansion.learn import Rewarded, Samples
from bothways.learning.expansion.samples import prompt_of

PAIRS, CARD = "preferences.jsonl", "README.md"


def write_pairs(
    folder: Path, samples: Samples, wanted: frozenset[str], *, margin: float, about: Mapping[str, Any]
) -> int:
    """Write the pairs of the queries that are `wanted`, and the card, if there are any; gives their number.

    `margin` is what the chosen one's reward is above the rejected one's at least.
    """
    pairs = list(preference_pairs(samples, wanted, margin=margin))
    if not pairs:  # an empty file is no data set, and one of an earlier run would not belong to the report
        (folder / PAIRS).unlink(missing_ok=True)
        (folder / CARD).unlink(missing_ok=True)
        return 0
    lines = (json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
    (folder / PAIRS).write_text("".join(lines), "utf-8")
    (folder / CARD).write_text(card(len(pairs), margin, about), "utf-8")
    return len(pairs)


def preference_pairs(samples: Samples, wanted: frozenset[str], *, margin: float) -> Iterator[dict[str, Any]]:
    """Give a pair for each wanted query whose samples differ by `margin`; of equal rewards the earlier sample."""
    for query_id, some in samples.samples.items():
        written = [one for one in some if not one.sample.error]
        if query_id not in wanted or len(written) < 2:
            continue
        best, worst = max(written, key=_reward), min(written, key=_reward)
        if best.sample.text != worst.sample.text and best.reward - worst.reward >= margin > 0:
            yield {
                "prompt": [_message("user", prompt_of(str(samples.queries[query_id]["query"])))],
                "chosen": [_message("assistant", best.sample.text)],
                "rejected": [_message("assistant", worst.sample.text)],
            }


def card(pairs: int, margin: float, about: Mapping[str, Any]) -> str:
    """Give the card of the data set, as hubs read it."""
    return "\n".join(
        [
            "---",
            "configs:",
            "- config_name: default",
            "  data_files:",
            "  - split: train",
            f"    path: {PAIRS}",
            "task_categories: [text-generation]",
            "tags: [dpo, preference, query-expansion]",
            "---",
            "",
            f"# Preferences among pseudo-documents: {about['collection']}",
            "",
            (
                f"{pairs} pairs in TRL's preference format (conversational): `prompt` is what a search asks the "
                "language model, `chosen` and `rejected` are two of its answers."
            ),
            "",
            "## How they were made",
            "",
            f"- answers: {about['source']}; prompt version {about['prompt_version']}",
            (
                f"- reward: the change of nDCG@10 that the answer brings to a search with `{about['strategy']}` on the "
                f"index {about['index']} (embedding model {about['embedding_model']}), by judged queries"
            ),
            f"- a query's best answer against its worst, where their rewards differ by {margin:g} or more",
            "- train part of the queries alone (four fifths, by a hash of the id): the dev part is to judge by",
            f"- command: `{about['command']}`",
            "",
            "`samples.jsonl` has every answer with its reward, `report.md` what they bring.",
            "",
            "## What they are not",
            "",
            (
                "A reward is that of one index and one embedding model. Answers contain what the language model knew; "
                "nobody has checked them. Licences of queries, documents and of the model's answers are those of "
                "their makers: name them before you give the data on."
            ),
            "",
        ]
    )


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _reward(one: Rewarded) -> float:
    return one.reward
