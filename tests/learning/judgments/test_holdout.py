from __future__ import annotations

from bothways.learning.judgments.holdout import is_held_out, split
from tests.learning.weekly.questions.test_worklist import judgment

QUERIES = [f"问题{n}" for n in range(400)]


def test_the_same_part_in_every_run_and_about_the_share():
    held = [query for query in QUERIES if is_held_out(query, 0.25)]
    assert 70 <= len(held) <= 130
    assert held == [query for query in reversed(QUERIES) if is_held_out(query, 0.25)][::-1]
    assert set(held) <= {query for query in QUERIES if is_held_out(query, 0.5)}, "a larger share keeps the smaller one"


def test_no_question_is_on_both_sides():
    texts = [f"{chr(0x4E00 + 37 * n)}{chr(0x5E00 + 11 * n)}" for n in range(200)]
    parts = split([judgment(text, "c", "positive") for text in texts], share=0.25)
    learnt, held = {one.text for one in parts.learn}, {query.text for query in parts.held_out}
    assert learnt | held == set(texts)
    assert not learnt & held
    assert all(query.relevant == {"c": 1} for query in parts.held_out)


def test_what_nearly_is_held_out_is_not_learnt_from():
    base = next(
        f"公司拖欠工资应该怎么办才好{n}" for n in range(99) if is_held_out(f"公司拖欠工资应该怎么办才好{n}", 0.25)
    )
    near = next(f"{base}{c}" for c in "吗呢啊呀么" if not is_held_out(f"{base}{c}", 0.25))
    parts = split([judgment(base, "c", "positive"), judgment(near, "c", "positive")], share=0.25)
    assert ([query.text for query in parts.held_out], list(parts.learn), parts.near) == ([base], [], 1)


def test_left_pairs_are_of_neither_part_and_non_answers_alone_evaluate_nothing():
    held = next(query for query in QUERIES if is_held_out(query, 0.25))
    parts = split([judgment(held, "c", "negative"), judgment("x", "d", "undecided")], share=0.25)
    assert (list(parts.learn), list(parts.held_out)) == ([], [])


def test_a_question_without_words_is_learnt_from_and_not_held_out():
    held = next(query for query in QUERIES if is_held_out(query, 0.25))
    parts = split([judgment(held, "c", "positive", text=None)], share=0.25)
    assert (len(parts.learn), len(parts.held_out)) == (1, 0)
