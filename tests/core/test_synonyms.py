from __future__ import annotations

import pytest

from bothways.core.errors import SynonymsError, UsageError
from bothways.core.synonyms import APPLIED, Rule, parse_rules, read_rules_file, rules_text, split_rules
from bothways.node import install_synonyms


def test_rules_are_cut_like_the_index(segmenter):
    rules = parse_rules("# 注释\n\n离职, 解除劳动合同\nＣＰＵ => 处理器, cpu\nmachine learning, ml\n", segmenter)
    assert rules == [
        Rule(("离职", "解除 劳动合同")),
        Rule(("cpu",), ("处理器", "cpu")),
        Rule(("machine learning", "ml")),
    ]
    assert [rule.line for rule in rules] == [3, 4, 5]
    assert rules_text(rules[:2]) == f"{APPLIED}离职, 解除 劳动合同\ncpu => 处理器, cpu\n"


def test_what_rules_promise():
    assert list(Rule(("a", "b", "c")).effects()) == [
        ("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b"),
    ]  # fmt: skip
    assert list(Rule(("a", "b"), ("c", "a")).effects()) == [("a", "c"), ("b", "c"), ("b", "a")]
    assert Rule(("a", "b")).meaning == Rule(("b", "a")).meaning != Rule(("a",), ("b",)).meaning


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a => b => c", "stands in it twice"),
        ("=> b", "one side of `=>` is empty"),
        ("a =>", "one side of `=>` is empty"),
        ("a, , b", "nothing between two commas"),
        ("a, b,", "nothing between two commas"),
        ("离职", "one term alone"),
        ("离职 -> 辞职", "write `=>` instead of `->`"),
        ("离职，辞职", "write `,` instead of `，`"),
        ("离职、辞职", "write `,` instead of `、`"),
        ("a\\, b, c", "backslash"),
        ("?!, b", "`?!` has no word that the index keeps"),
        ("a => a", "the same to the index"),
        ("a, b => b, a", "the same to the index"),
        ("CPU, 处理器, ｃｐｕ", "`CPU` and `ｃｐｕ` are the same"),
        ("劳动 合同, 离职", "`劳动 合同` is cut into `劳动合同`"),
        ("a b c d e f g h i j k, l", "11 words, 10 are the most"),
        ("b, a", "it repeats line 1"),
    ],
)
def test_a_bad_rule_is_refused_by_its_line(segmenter, line, problem):
    with pytest.raises(SynonymsError) as refused:
        parse_rules(f"a, b\n\n# c\n{line}\nd, e\n", segmenter, name="rules.txt")
    assert str(refused.value).startswith(f"rules.txt is refused, nothing was changed: line 4 ({line[:60]}): ")
    assert problem in str(refused.value)
    assert isinstance(refused.value, UsageError)


def test_all_bad_lines_are_told_up_to_ten(segmenter):
    with pytest.raises(SynonymsError, match=r"line 1 .*line 10 .*; and 2 more\.$"):
        parse_rules("alone\n" * 12, segmenter)


def test_a_multi_word_term_may_be_written_with_blanks_where_it_is_cut(segmenter):
    assert parse_rules("解除 劳动合同, 离职", segmenter) == [Rule(("解除 劳动合同", "离职"))]


def test_what_a_server_has_is_taken_as_it_is():
    assert split_rules("# x\n a,b\nA  B => c\nalone\n=> y\n") == [
        Rule(("a", "b")), Rule(("A B",), ("c",)), Rule(("alone",)), Rule((), ("y",)),
    ]  # fmt: skip
    assert list(Rule(("alone",)).effects()) == []


def test_a_file_that_cannot_be_read(tmp_path, segmenter):
    with pytest.raises(SynonymsError, match="cannot be read"):
        read_rules_file(tmp_path / "none.txt", segmenter)
    (tmp_path / "bom.txt").write_text("\ufeffa, b\n", encoding="utf-8")
    assert read_rules_file(tmp_path / "bom.txt", segmenter) == [Rule(("a", "b"))]


def test_what_was_applied_stays_when_the_node_is_started_again(tmp_path):
    path = install_synonyms(tmp_path, "a, b\n", keep_applied=True)
    assert path.read_text() == "a, b\n"
    path.write_text(rules_text([Rule(("c", "d"))]))
    install_synonyms(tmp_path, "a, b\n", keep_applied=True)
    assert path.read_text() == f"{APPLIED}c, d\n"
    install_synonyms(tmp_path, "a, b\n")
    assert path.read_text() == "a, b\n", "BOTHWAYS_SYNONYMS_PATH counts more"
