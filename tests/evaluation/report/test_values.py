from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser

import pytest

from bothways.evaluation.report.html import html_page
from bothways.evaluation.report.markdown import markdown_page, p_value, signed
from bothways.evaluation.report.values import FailureList, Plan, figure, make_report
from bothways.evaluation.report.write import ReportFolder
from bothways.evaluation.run import run_strategies
from tests.evaluation.made_up import finds_at, gold_of, queries


@pytest.fixture
def measured():
    """Forty queries: `good` is right for all but every tenth, `bad` right for every second; with its folder's rows."""

    def run(out=None, **planned):
        strategies = {
            "bad": finds_at(lambda n: 2 if n % 2 else None, ms=4.0),
            "good": finds_at(lambda n: None if n % 10 == 0 else 1, ms=9.0),
        }
        plan = Plan(ks=(1, 10), slices=("tag",), **planned)
        failures = FailureList(list(strategies), 10)
        with ReportFolder(out, list(strategies), 10) if out else _Nowhere() as folder:
            tally = run_strategies(
                queries(40),
                strategies,
                gold_of,
                ks=plan.ks,
                slices=["length", "tag"],
                sink=lambda row: (failures(row), folder.add(row)),
            )
            report = make_report(tally, failures, plan, {"collection": "c", "index": "bothways-c-v1"})
            folder.finish(report)
        return report

    return run


class _Nowhere:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def add(self, row):
        pass

    def finish(self, report):
        pass


def test_means_intervals_and_comparisons(measured):
    report = measured()
    assert report.strategies["good"]["hit@1"] == pytest.approx(0.9)
    assert report.strategies["bad"]["mrr@10"] == pytest.approx(0.25)
    assert report.strategies["bad"]["p50_ms"] == 4.0
    (one,) = report.comparisons
    assert (one.name, one.baseline, one.measure) == ("good", "bad", "ndcg@10")
    assert one.difference.mean == pytest.approx(
        report.strategies["good"]["ndcg@10"] - report.strategies["bad"]["ndcg@10"]
    )
    assert one.significant
    interval = report.intervals["good"]["ndcg@10"]
    assert interval.low < 0.9 < interval.high


def test_the_baseline_can_be_chosen(measured):
    (one,) = measured(baseline="good").comparisons
    assert (one.name, one.difference.mean < 0) == ("bad", True)


def test_slices(measured):
    by_tag = {one.label: one for one in measured().slices if one.field == "tag"}
    assert [one.queries for one in by_tag.values()] == [20, 20]
    assert (by_tag["t0"].hit_rate["bad"], by_tag["t1"].hit_rate["bad"]) == (0.0, 1.0)
    lengths = [one.label for one in measured().slices if one.field == "length"]
    assert lengths == ["1–10", "11–20", "21–30", "31–50"]


def test_failures_are_those_of_the_best_strategy(measured):
    report = measured()
    assert (report.failures_of, report.failed) == ("good", 4)
    assert [row.query.query_id for row in report.failures] == ["q0", "q10", "q20", "q30"]


def test_failures_are_kept_up_to_a_limit_and_all_counted():
    failures = FailureList(["a"], 10, at_most=3)
    run_strategies(queries(9), {"a": finds_at(lambda n: None)}, gold_of, ks=[10], sink=failures)
    assert (len(failures.kept["a"]), failures.counted["a"]) == (3, 9)


def test_json(measured):
    body = json.loads(json.dumps(measured().as_dict()))
    assert {"hit@1", "hit@10", "mrr@10", "ndcg@10", "map", "p50_ms", "p95_ms"} <= set(body["strategies"]["good"])
    assert body["queries"] == 40
    assert body["comparisons"][0]["significant"] is True
    assert body["failures"] == {"strategy": "good", "depth": 10, "queries": 4}


def test_markdown(measured):
    page = markdown_page(measured())
    assert "| `good` | .900 |" in page
    assert "## ndcg@10 against bad" in page
    assert "| t0 | 20 |" in page
    assert "## 4 queries for which good has nothing relevant among the first 10" in page
    assert "Title d10" in page


class _Checker(HTMLParser):
    """Collects ids and internal links, and checks that elements are closed in order."""

    VOID = frozenset({"meta", "br", "link", "img", "path", "use", "rect", "line"})

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.outside = [], [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"][1:]] if found.get("href", "").startswith("#") else []
        self.outside += [
            found[key] for key in ("src", "href") if not found.get(key, "#").startswith(("#", "data:image/svg+xml"))
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_html_is_whole_and_needs_nothing_else(measured):
    page = html_page(measured())
    checker = _Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.outside == []
    assert len(checker.ids) == len(set(checker.ids))
    assert {link for link in checker.links if link} <= set(checker.ids)
    assert page.count("<img") == 3
    assert page.count('class="page"') == 4
    assert "not found" in page


def test_html_escapes_what_documents_say(measured):
    page = html_page(measured())
    assert "<b>x0-1</b>" not in page
    assert "&lt;b&gt;x0-1&lt;/b&gt;" in page


def test_html_is_the_same_in_every_run(measured):
    assert html_page(measured()) == html_page(measured())


def test_without_matplotlib_the_page_says_what_to_install(measured, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = html_page(measured())
    assert "<img" not in page
    assert "bothways[eval]" in page


def test_one_strategy_alone_without_times_or_failures():
    failures = FailureList(["a"], 1)
    tally = run_strategies(queries(3), {"a": finds_at(lambda n: 1)}, gold_of, ks=[1], slices=["length"], sink=failures)
    report = make_report(tally, failures, Plan(ks=(1,)), {})
    assert report.columns == ["hit@1", "mrr@10", "ndcg@10", "recall@1", "map"]
    assert "## 0 queries" in markdown_page(report)
    assert html_page(report).count("<img") == 2


def test_the_folder(measured, tmp_path):
    measured(tmp_path / "deep" / "out")
    folder = tmp_path / "deep" / "out"
    assert sorted(path.name for path in folder.iterdir()) == [
        "per_query.jsonl", "qrels.trec", "report.html", "report.json", "report.md", "run-bad.trec", "run-good.trec",
    ]  # fmt: skip
    rows = [json.loads(line) for line in (folder / "per_query.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 40
    assert rows[1]["strategies"]["good"]["hit@1"] == 1.0
    assert "found_instead" not in rows[1]["strategies"]["good"]
    assert rows[10]["strategies"]["good"]["first_gold"] is None
    assert [d["doc_id"] for d in rows[10]["strategies"]["good"]["found_instead"]][:2] == ["x10-1", "x10-2"]
    assert re.match(r"q0 0 d0 1\nq1 0 d1 1\n", (folder / "qrels.trec").read_text())
    assert (folder / "run-good.trec").read_text().startswith("q0 Q0 x0-1 1 1.000000 bothways-good\n")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("p50_ms", 12.34, "12.3"), ("map", 0.5, ".500"), ("map", 1.0, "1.000"), ("map", 0.0, ".000"), ("map", None, "–"),
     ("map", 0.99999, "1.000"), ("map", 10.05, "10.050")],
)  # fmt: skip
def test_figures(name, value, text):
    assert figure(name, value) == text


def test_signs_and_small_p_values():
    assert (signed(0.0123), signed(-0.5), signed(0.0)) == ("+.012", "−.500", "+.000")
    assert (p_value(0.0001), p_value(0.04)) == ("< .001", ".040")
