"""Preference pairs for fine-tuning the language model: of one query's samples the best and the worst, by reward.

In the form of TRL's preference data sets (conversational, with an explicit prompt), as DPO and its like are trained
with: https://huggingface.co/docs/trl/dataset_formats#preference. A card beside them says how they were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bothways.core.machine.private_files import write_private
from bothways.learning.expansion.learn import Samples
from bothways.learning.expansion.samples import prompt_of
from bothways.learning.pages import CARD, render

PAIRS = "preferences.jsonl"


def write_pairs(
    folder: Path, samples: Samples, wanted: frozenset[str], *, margin: float, about: Mapping[str, Any]
) -> int:
    """Write the pairs of the queries that are `wanted`, and the card, if there are any; returns their number.

    `margin` is what the chosen one's reward is above the rejected one's at least.
    """
    pairs = list(preference_pairs(samples, wanted, margin=margin))
    if not pairs:  # an empty file is no data set, and one of an earlier run would not belong to the report
        (folder / PAIRS).unlink(missing_ok=True)
        (folder / CARD).unlink(missing_ok=True)
        return 0
    write_private(folder / PAIRS, (json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs))
    card = render("preferences_card.md", pairs=len(pairs), margin=margin, about=about, path=PAIRS)
    (folder / CARD).write_text(card, "utf-8")
    return len(pairs)


def preference_pairs(samples: Samples, wanted: frozenset[str], *, margin: float) -> Iterator[dict[str, Any]]:
    """Return a pair for each wanted query whose samples differ by `margin`; of equal rewards the earlier sample."""
    for query_id, some in samples.samples.items():
        written = [rewarded for rewarded in some if not rewarded.sample.error]
        if query_id not in wanted or len(written) < 2:
            continue
        best, worst = (choose(written, key=lambda sample: sample.reward) for choose in (max, min))
        if best.sample.text != worst.sample.text and best.reward - worst.reward >= margin > 0:
            yield {
                "prompt": [_message("user", prompt_of(str(samples.queries[query_id]["query"])))],
                "chosen": [_message("assistant", best.sample.text)],
                "rejected": [_message("assistant", worst.sample.text)],
            }


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
