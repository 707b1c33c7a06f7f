from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.vectors.index import FORMULA, SERVER, Build, Built, builds_of, documented, resident
from benchmarks.vectors.plot import plot_study
from benchmarks.vectors.report import EXACT, Arm, VectorStudy, pareto
from benchmarks.vectors.study import Truth, knn_of
from bothways.core.errors import MissingExtraError


def test_recall_is_the_share_of_the_exact_k():
    truth = Truth.of([("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.6)], 3)
    assert truth.recall(["c", "a", "b"]) == 1
    assert truth.recall(["a", "b", "d"]) == pytest.approx(2 / 3)
    assert truth.recall([]) == 0


def test_equal_scores_at_the_cut_are_equally_right():
    truth = Truth.of([("a", 0.9), ("b", 0.7), ("c", 0.7), ("d", 0.7), ("e", 0.6)], 2)
    assert truth.recall(["a", "d"]) == 1
    assert truth.recall(["a", "e"]) == 0.5


def test_a_tie_fills_no_place_of_a_better_one():
    truth = Truth.of([("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.7), ("e", 0.7)], 3)
    assert truth.recall(["c", "d", "e"]) == pytest.approx(1 / 3)
    assert truth.recall(["a", "c", "d"]) == pytest.approx(2 / 3)


def test_fewer_chunks_than_k():
    truth = Truth.of([("a", 0.9), ("b", 0.8)], 10)
    assert truth.recall(["b", "a"]) == 1
    assert truth.recall(["b"]) == 0.5


def test_builds_are_crossed_and_a_type_without_a_graph_comes_once():
    assert builds_of(["flat", "hnsw"], [16, 32], [100]) == [
        Build("flat"),
        Build("hnsw", 16, 100),
        Build("hnsw", 32, 100),
    ]


def test_a_build_says_only_what_was_set():
    assert Build("hnsw").index_options == {"type": "hnsw"}
    assert Build("int8_hnsw", 16, 100).index_options == {"type": "int8_hnsw", "m": 16, "ef_construction": 100}
    assert str(Build("int8_hnsw", 16, 100)) == "int8_hnsw m=16 ef_construction=100"
    assert [Build(name).quantised for name in ("flat", "hnsw", "int8_flat", "bbq_hnsw")] == [False, False, True, True]


def test_memory_by_the_servers_statistics():
    raw = {"total_size_bytes": 2090, "total_vec_size_bytes": 2048, "total_vex_size_bytes": 42}
    assert resident(raw) == 2090
    assert resident(raw | {"total_veq_size_bytes": 528}) == 528 + 42
    assert resident(raw | {"total_veb_size_bytes": 78, "total_veq_size_bytes": 0}) == 78 + 42


def test_memory_by_elastics_formula():
    def of(name, m=None):
        return documented(Build(name, m), 10, 512)

    assert of("flat") == 10 * 2048
    assert of("hnsw") == 10 * (2048 + 4 * 16)
    assert of("int8_hnsw", 32) == 10 * (516 + 4 * 32)
    assert of("int4_hnsw", 16) == 10 * (260 + 64)
    assert of("bbq_hnsw", 16) == 10 * (78 + 64)
    assert of("bbq_flat") == 10 * 78


def test_the_search_that_is_sent():
    vector = np.zeros(2, dtype=np.float32)
    assert knn_of(vector, 10, 50, None) == {"field": "text_sem", "query_vector": vector, "k": 10, "num_candidates": 50}
    assert knn_of(vector, 10, 50, 2)["rescore_vector"] == {"oversample": 2}


def arm(build, number, oversample, recall, p50, *, server=0.0):
    megabytes = 3 if build.quantised else 9
    built = Built(
        build=build,
        index="bothways-study-x",
        vectors=1000,
        seconds=12.4,
        disk_bytes=10_000_000,
        disk_from="disk",
        memory_bytes=megabytes * 1_000_000,
        memory_from=SERVER,
        oversample=server,
    )
    return Arm(built=built, num_candidates=number, oversample=oversample, recall=recall, p50_ms=p50, p95_ms=2 * p50)


@pytest.fixture
def study():
    bbq, int8 = Build("bbq_hnsw", 16, 100), Build("int8_hnsw", 16, 100)
    arms = (
        arm(EXACT, 10, None, 1.0, 9.0),
        arm(int8, 50, None, 0.97, 2.0),
        arm(int8, 100, None, 0.98, 3.0),
        arm(int8, 100, 2, 0.999, 3.5),
        arm(bbq, 50, None, 0.95, 2.5, server=3.0),
        arm(bbq, 50, 0, 0.7, 1.5, server=3.0),
    )
    return VectorStudy(
        collection="law",
        index="bothways-law-v1",
        vectors=1000,
        dimension=512,
        queries=20,
        k=10,
        repeats=3,
        arms=arms,
        refused={"int9_hnsw": "Unknown type."},
    )


def test_what_no_other_arm_beats(study):
    assert [(one.recall, one.p50_ms) for one in study.pareto] == [
        (0.7, 1.5),
        (0.97, 2.0),
        (0.98, 3.0),
        (0.999, 3.5),
        (1.0, 9.0),
    ]


def test_what_each_build_is_worth(study):
    fronts = {str(build): [one.recall for one in arms] for build, arms in study.fronts.items()}
    assert fronts == {
        "flat": [1.0],
        "int8_hnsw m=16 ef_construction=100": [0.97, 0.98, 0.999],
        "bbq_hnsw m=16 ef_construction=100": [0.7, 0.95],
    }


def test_the_same_figures_beat_nobody():
    same = (arm(EXACT, 10, None, 1.0, 9.0), arm(Build("hnsw"), 10, None, 1.0, 9.0))
    assert (
        VectorStudy(
            collection="law", index="i", vectors=1, dimension=1, queries=1, k=1, repeats=3, arms=same, refused={}
        ).pareto
        == same
    )


def test_less_than_a_tenth_of_a_millisecond_is_no_advantage():
    fast, good = arm(Build("hnsw"), 10, None, 0.8, 1.01), arm(Build("hnsw"), 50, None, 0.9, 1.04)
    assert pareto([fast, good]) == (good,)


def test_table(study):
    text = study.markdown()
    assert "| flat | – | – | all | – | 1.000 | 9.0 | 18.0 | 9.0 | 10.0 | 12 | yes |" in text
    assert "| int8_hnsw | 16 | 100 | 50 | none (server's default) | .970 | 2.0 | 4.0 | 3.0 | 10.0 | 12 | yes |" in text
    assert "| int8_hnsw | 16 | 100 | 100 | 2 | .999 | 3.5 |" in text
    assert "| bbq_hnsw | 16 | 100 | 50 | 3 (server's default) | .950 | 2.5 | 5.0 | 3.0 | 10.0 | 12 |  |" in text
    assert "| bbq_hnsw | 16 | 100 | 50 | none | .700 |" in text
    assert "Failed: int9_hnsw. Unknown type." in text
    assert "1,000 vectors of 512 dimensions" in text
    assert "best of 3" in text
    assert '.999 at 3.5 ms: `{"mapping": {"text_sem": {"index_options": {"type": "int8_hnsw", "m": 16' in text
    assert SERVER in text
    assert FORMULA not in text


def test_an_arm_as_mapping_and_search(study):
    assert study.arms[3].snippet == {
        "mapping": {
            "text_sem": {
                "index_options": {
                    "type": "int8_hnsw",
                    "m": 16,
                    "ef_construction": 100,
                    "rescore_vector": {"oversample": 2},
                }
            }
        },
        "search": {"num_candidates": 100},
    }
    assert "rescore_vector" not in study.arms[1].snippet["mapping"]["text_sem"]["index_options"]


def test_as_dict(study):
    told = study.as_dict()
    assert told["collection"] == "law"
    assert [row["pareto"] for row in told["arms"]] == [True, True, True, True, False, True]
    assert told["arms"][4]["oversample"] is None
    assert told["arms"][4]["rescored"] == 3
    assert told["refused"] == {"int9_hnsw": "Unknown type."}


def test_plot(study):
    drawn = plot_study(study)
    assert drawn.startswith("<svg")
    for text in ("flat", "int8_hnsw", "bbq_hnsw", "recall@10"):
        assert text in drawn
    assert drawn == plot_study(study)


def test_plot_without_matplotlib(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"bothways\[eval\]"):
        plot_study(study)
