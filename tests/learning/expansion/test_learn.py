"""Samples with their rewards on disk: failures kept, runs that go on, recorded files, pairs in TRL's form."""

from __future__ import annotations

import json
import threading

import pytest

from bothways.core.errors import LLMError, LLMUnavailableError, UsageError
from bothways.learning.expansion.learn import Rewarded, Samples, collect
from bothways.learning.expansion.pairs import preference_pairs, write_pairs
from bothways.learning.expansion.samples import GIVE_UP, ModelSamples, RecordedSamples, Sample, SampleRequest, prompt_of
from bothways.search.query.rewrite import QUERY2DOC

QUESTIONS = {"a": "老板拖欠工资怎么办", "b": "房东不退押金怎么办"}
PLAIN = {"a": 0.5, "b": 1.0}
ABOUT = {"collection": "c", "index": "i", "source": "s", "strategy": "hybrid", "embedding_model": "m",
         "prompt_version": QUERY2DOC.version, "command": "bothways learn expansion"}  # fmt: skip


class FakeModel:
    """Answers with the next of its answers to a prompt, or raises it; notes what it was asked."""

    name = "fake/llm"
    address = ""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.closed = False
        self.lock = threading.Lock()

    def generate(self, prompt, *, json_schema=None, timeout_s=None):
        with self.lock:
            self.asked.append(prompt)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed = True


def first_pass(query_id):
    return {"value": PLAIN[query_id], "signs": {}, "in_use": False, "may_ask": True}


def worth(query_id, pseudo_doc):
    """The value is the length of the text in tenths, so that rewards can be told by looking."""
    return len(pseudo_doc) / 10


def sampled(model, n=2):
    return ModelSamples(model, n, temperature=1.0, concurrency=1)


def run(folder, source, **options):
    return collect(folder, QUESTIONS, source, {"collection": "c"}, first_pass, worth, **options)


def rewards(samples):
    return {query_id: [round(one.reward, 6) for one in some] for query_id, some in samples.samples.items()}


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_sample_is_kept_with_its_reward(tmp_path):
    model = FakeModel("一二三四五六", "“一二三四”", LLMError("it was cut off"), "抱歉，我不能")
    samples = run(tmp_path / "out", sampled(model))
    # Six characters are .6, four without their quotes .4, of a query that has .5; the others failed and change nothing.
    assert rewards(samples) == {"a": [0.1, -0.1], "b": [0.0, 0.0]}
    assert samples.failed == 2
    rows = lines(tmp_path / "out" / "samples.jsonl")
    assert [row.get("text") for row in rows] == ["一二三四五六", "“一二三四”", None, None]
    assert rows[2]["error"] == "it was cut off"
    assert "declined" in rows[3]["error"]
    assert model.asked == [prompt_of(QUESTIONS["a"])] * 2 + [prompt_of(QUESTIONS["b"])] * 2
    assert model.closed


def test_the_prompt_is_the_one_of_a_search():
    assert prompt_of("问" * 2000) == QUERY2DOC.fill("问" * 1000, like="问" * 1000)


def test_a_run_that_was_cut_off_goes_on_behind_its_last_whole_line(tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        collect(folder, QUESTIONS, sampled(FakeModel("一二三")), {"collection": "c"}, first_pass, interrupted_at(3))
    assert len(lines(folder / "samples.jsonl")) == 2
    with (folder / "samples.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"query_id": "b", "sam')
    model = FakeModel("一二三四五")
    samples = run(folder, sampled(model), resume=True)
    assert rewards(samples) == {"a": [-0.2, -0.2], "b": [-0.5, -0.5]}
    assert len(model.asked) == 2
    assert len(lines(folder / "samples.jsonl")) == 4
    assert len(lines(folder / "queries.jsonl")) == 2
    nobody = FakeModel(AssertionError("nothing is missing"))
    assert rewards(run(folder, sampled(nobody), resume=True)) == rewards(samples)


def interrupted_at(number):
    calls = []

    def expanded(query_id, text):
        calls.append(query_id)
        if len(calls) == number:
            raise KeyboardInterrupt
        return worth(query_id, text)

    return expanded


def test_samples_that_found_nobody_are_tried_again_and_others_are_not(tmp_path):
    folder = tmp_path / "out"
    first = run(folder, sampled(FakeModel("一二三四五六", LLMUnavailableError("down"), LLMError("no"), "一二")))
    assert first.failed == 2
    model = FakeModel("一二三四五六七")
    again = run(folder, sampled(model), resume=True)
    assert rewards(again) == {"a": [0.1, 0.2], "b": [0.0, -0.8]}
    assert len(model.asked) == 1


def test_a_dead_language_model_ends_the_run(tmp_path):
    model = FakeModel(LLMUnavailableError("nobody answers"))
    with pytest.raises(LLMUnavailableError, match="The last 5 samples found no language model: nobody answers"):
        run(tmp_path / "out", sampled(model, n=9))
    assert model.closed
    assert len(lines(tmp_path / "out" / "samples.jsonl")) == GIVE_UP - 1
    assert rewards(run(tmp_path / "out", sampled(FakeModel("一二三四五"), n=9), resume=True))["a"] == [0.0] * 9


def test_folders_are_not_mixed_up(tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="is not empty"):
        run(taken, sampled(FakeModel("一")))
    with pytest.raises(UsageError, match="No run was begun"):
        run(tmp_path / "new", sampled(FakeModel("一")), resume=True)
    run(tmp_path / "out", sampled(FakeModel("一")))
    with pytest.raises(UsageError, match="samples was 2, is 3"):
        run(tmp_path / "out", sampled(FakeModel("一"), n=3), resume=True)
    (tmp_path / "out" / "samples.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match=r"samples\.jsonl, line 1 is damaged"):
        run(tmp_path / "out", sampled(FakeModel("一")), resume=True)
    (tmp_path / "out" / "run.json").write_text("[")
    with pytest.raises(UsageError, match=r"run\.json cannot be read"):
        run(tmp_path / "out", sampled(FakeModel("一")), resume=True)


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_recorded_ones_by_id_and_by_words(tmp_path):
    rows = [{"query_id": given[0], "text": given[1:] * 3} for given in ("a三", "a四五", "a三", "z别")]
    path = write(tmp_path / "e.jsonl", *rows, {"query": "房东不退 押金怎么办", "pseudo_doc": "一" * 12})
    assert rewards(run(tmp_path / "out", RecordedSamples(path))) == {"a": [-0.2, 0.1], "b": [0.2]}
    assert rewards(run(tmp_path / "one", RecordedSamples(path, at_most=1))) == {"a": [-0.2], "b": [0.2]}


def test_queries_without_a_recorded_one_are_left_out_and_counted(tmp_path):
    samples = run(
        tmp_path / "out", RecordedSamples(write(tmp_path / "e.jsonl", {"query_id": "b", "text": "对不起，我不能"}))
    )
    assert (list(samples.queries), samples.without, samples.failed) == (["b"], 1, 1)
    nothing = RecordedSamples(write(tmp_path / "n.jsonl", {"query_id": "z", "text": "一"}))
    with pytest.raises(UsageError, match=r"None of the 2 queries has an expansion in expansions recorded in n\.jsonl"):
        run(tmp_path / "none", nothing)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "line",
    ['{"query_id": "a"}', '{"text": "x"}', '{"query_id": "a", "text": " "}', '{"query_id": [], "text": "x"}', "[1]",
     '{"query_id": "a", "text": 3}', "{", '{"query": 1, "pseudo_doc": "x"}'],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "e.jsonl"
    path.write_text('{"query_id": "a", "text": "x"}\n\n' + line + "\n", "utf-8")
    with pytest.raises(UsageError, match=r"e\.jsonl, line 3: expected"):
        RecordedSamples(path)


def test_files_that_hold_nothing(tmp_path):
    (tmp_path / "e.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="holds no expansion"):
        RecordedSamples(tmp_path / "e.jsonl")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        RecordedSamples(tmp_path / "gone.jsonl")


def learnt_of(**samples):
    rows = {
        query_id: [
            Rewarded(Sample(query_id=query_id, number=n, text=text, error=error), reward)
            for n, (text, reward, error) in enumerate(some, 1)
        ]
        for query_id, some in samples.items()
    }
    return Samples({query_id: {"query": f"问题 {query_id}"} for query_id in rows}, rows, 0)


def test_pairs_by_hand():
    samples = learnt_of(
        a=[("好", 0.3, ""), ("中", 0.0, ""), ("坏", -0.2, "")],
        b=[("好", 0.3, ""), ("同", 0.25, "")],  # too near
        c=[("好", 0.3, ""), ("", 0.0, "failed")],  # a failure is no answer to reject
        d=[("好", 0.3, ""), ("坏", 0.0, "")],  # not wanted: judged by it
    )
    pairs = list(preference_pairs(samples, frozenset("abc"), margin=0.1))
    assert pairs == [
        {
            "prompt": [{"role": "user", "content": prompt_of("问题 a")}],
            "chosen": [{"role": "assistant", "content": "好"}],
            "rejected": [{"role": "assistant", "content": "坏"}],
        }
    ]


def test_the_file_is_a_preference_data_set_as_trl_reads_it(tmp_path):
    datasets = pytest.importorskip("datasets")
    samples = learnt_of(a=[("好", 0.3, ""), ("坏", -0.2, "")], b=[("甲\n乙", 0.5, ""), ("“丙”", 0.1, "")])
    assert write_pairs(tmp_path, samples, frozenset("ab"), margin=0.1, about=ABOUT) == 2
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "preferences.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.column_names == ["prompt", "chosen", "rejected"]
    assert loaded[1]["chosen"] == [{"role": "assistant", "content": "甲\n乙"}]
    assert [message["role"] for message in loaded[0]["prompt"]] == ["user"]
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "2 pairs in TRL's preference format" in card
    assert "path: preferences.jsonl" in card


def test_no_pairs_are_no_files(tmp_path):
    (tmp_path / "preferences.jsonl").write_text("of an earlier run")
    assert write_pairs(tmp_path, learnt_of(a=[("好", 0.3, "")]), frozenset("a"), margin=0.1, about=ABOUT) == 0
    assert list(tmp_path.iterdir()) == []


def test_who_stops_early_asks_no_more(tmp_path):
    model = FakeModel("一二三")
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path / "out", QUESTIONS, sampled(model, n=50), {}, first_pass, interrupted_at(1))
    assert model.closed
    assert len(model.asked) <= 4  # of 100: two ahead, and one that was being asked


def test_samples_come_in_order_whoever_answers_first():
    source = ModelSamples(FakeModel("一二三"), 3, temperature=0.5, concurrency=4)
    wanted = [SampleRequest("a", "问", number) for number in range(1, 30)]
    assert [one.number for one in source.samples(wanted)] == list(range(1, 30))
    assert source.identity == {"model": "fake/llm", "prompt": QUERY2DOC.version, "temperature": 0.5, "samples": 3}
