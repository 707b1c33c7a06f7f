"""The command line as a user types it: the real model, a real Elasticsearch, exit codes and what is printed where."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.llm_server import Scripted, completion

pytestmark = pytest.mark.elasticsearch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# 年假\n\n## 天数\n\n工作满一年的员工享有五天带薪年休假。\n", encoding="utf-8")
    (docs / "pay.txt").write_text("工资于每月十日发放，遇节假日提前。", encoding="utf-8")
    return docs


def test_index_search_collections_eval_delete(run, folder, collection, tmp_path):
    code, out, err = run("index", folder, "--collection", collection, "--no-questions")
    assert (code, out) == (0, "")
    assert "2 documents, 2 chunks: 2 indexed" in err

    code, out, _ = run(
        "search", "发工资是哪天", "--collection", collection, "--strategy", "hybrid", "--json", "--explain"
    )
    body = json.loads(out)
    assert code == 0
    assert body["hits"][0]["source"] == "pay.txt"
    assert body["hits"][0]["explain"]["bm25"]["rank"] == 1

    code, out, _ = run("search", "发工资是哪天", "-c", collection, "--filter", "source=leave.md")
    assert code == 0
    assert "年假" in out
    assert "工资" not in out
    for filter_ in ("source!=leave.md", "!doc_id?"):
        code, out, _ = run("search", "年假", "-c", collection, "--filter", filter_, "--json")
        assert code == 0
        assert "leave.md" not in out

    code, out, _ = run("collections", "--json")
    assert collection in [row["name"] for row in json.loads(out)]

    queries = tmp_path / "q.jsonl"
    queries.write_text(json.dumps({"query": "能休几天年假", "gold": {"source": "leave.md"}}), encoding="utf-8")
    code, out, _ = run(
        "eval",
        queries,
        "--collection",
        collection,
        "--strategies",
        "bm25,dense,hybrid",
        "--k",
        "1,10",
        "--out",
        tmp_path / "out",
    )
    assert code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["queries"] == 1
    assert set(report["strategies"]) == {"bm25", "dense", "hybrid"}
    named = {"hit@1", "hit@10", "mrr@10", "ndcg@10", "recall@10", "map", "p50_ms", "p95_ms"}
    assert named <= set(report["strategies"]["hybrid"])
    assert report["strategies"]["hybrid"]["hit@1"] == 1.0
    assert "Q0" in (tmp_path / "out" / "run-hybrid.trec").read_text(encoding="utf-8")

    for name in ("report.md", "report.html", "qrels.trec", "per_query.jsonl"):
        assert (tmp_path / "out" / name).stat().st_size > 0

    code, _, err = run("delete", collection, "--yes")
    assert code == 0
    code, _, err = run("search", "x", "--collection", collection)
    assert code == 1
    assert f"no collection '{collection}'" in err
    assert "Traceback" not in err


@pytest.fixture
def handbook(run, collection):
    """The sample knowledge base with its recorded questions, indexed by hand."""
    sample = ROOT / "samples" / "handbook"
    code, _, err = run(
        "index", sample / "docs", "--collection", collection, "--questions", sample / "pseudo_questions.jsonl"
    )
    assert code == 0, err
    return sample


def test_evaluating_tuning_and_comparing(run, handbook, collection, tmp_path):
    queries = handbook / "queries.jsonl"
    wanted = ("--collection", collection, "--strategies", "bm25,hybrid")
    code, out, err = run("eval", queries, *wanted, "--slice", "tag", "--out", tmp_path / "a", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert {one["label"] for one in report["slices"] if one["field"] == "tag"} == {"colloquial", "formal"}
    assert report["comparisons"][0]["baseline"] == "bm25"

    written = tmp_path / "tuned.env"
    code, out, err = run(
        "eval", "tune", queries, "--collection", collection, "--params", "fusion,rrf.weights", "--values",
        "rrf.weights=0,0.1", "--values", "fusion=rrf", "--write", written, "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    tuning = json.loads(out)
    assert len(tuning["trials"]) == 1 + 3
    assert written.exists() == (tuning["written"] is not None) == (tuning["gain"]["difference"]["mean"] > 0)

    code, _, _ = run(
        "eval", queries, *wanted, "--out", tmp_path / "b", "--fusion", "rrf", BOTHWAYS_FIXED='{"weight_bm25": 0}'
    )
    assert code == 0
    code, out, err = run("eval", "compare", tmp_path / "a" / "report.json", tmp_path / "b" / "report.json")
    assert (code, err) == (0, "")
    assert "| `bm25` | +.000 |" in out
    assert "40 queries in both" in out

    run_file, qrels = tmp_path / "a" / "run-bm25.trec", tmp_path / "a" / "qrels.trec"
    code, out, err = run("eval", "trec", qrels, run_file, "--json")
    assert (code, err) == (0, "")
    theirs, ours = json.loads(out)["strategies"]["bm25"], report["strategies"]["bm25"]
    assert {name: theirs[name] for name in theirs} == pytest.approx({name: ours[name] for name in theirs})


def test_leaks_and_missing_gold_are_told(run, handbook, collection, tmp_path):
    recorded = json.loads((handbook / "pseudo_questions.jsonl").read_text(encoding="utf-8").splitlines()[0])
    queries = tmp_path / "q.jsonl"
    rows = [
        {"_id": "copied", "query": recorded["questions"][0], "gold": {"source": "employee/annual-leave.md"}},
        {"_id": "fresh", "query": "绝无仅有的一问", "gold": {"source": "nowhere.md"}},
    ]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, out, err = run("eval", queries, "--collection", collection, "--strategies", "bm25")
    assert (code, out) == (2, "")
    assert "copied" in err
    assert "--allow-leaks" in err
    code, out, err = run("eval", queries, "--collection", collection, "--strategies", "bm25", "--allow-leaks")
    assert code == 0
    assert "fresh: source=nowhere.md" in err
    assert "2 queries on" in out


def test_a_file_that_is_not_ours_is_not_overwritten(run, tmp_path):
    (tmp_path / ".env").write_text("BOTHWAYS_ES_URL=http://elsewhere:9200\n")
    code, _, err = run("eval", "tune", "/no/such/file", "--collection", "c", "--write", tmp_path / ".env")
    assert code == 2
    assert "was not written by `bothways eval tune`" in err
    assert "elsewhere" in (tmp_path / ".env").read_text()


def test_bad_files_are_named_and_counted_and_the_rest_is_indexed(run, folder, collection):
    (folder / "empty.txt").write_text("")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 this is cut off")
    (folder / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
    code, _, err = run("index", folder, "--collection", collection, "--no-questions")
    assert code == 1
    for name in ("empty.txt", "broken.pdf", "picture.txt"):
        assert f"failed (read) {name}: " in err
    assert "2 indexed" in err
    assert "3 failed" in err
    assert "All failures are in " in err


def test_without_a_language_model_it_says_so_once(run, folder, collection):
    code, _, err = run("index", folder, "--collection", collection)
    assert code == 0
    assert err.count("No language model is set") == 1


def test_recorded_questions(run, folder, collection, tmp_path):
    recorded = tmp_path / "q.jsonl"
    rows = [
        {"text": "工作满一年的员工享有五天带薪年休假。", "questions": ["能歇几天"]},
        {"text": "工资于每月十日发放，遇节假日提前。", "questions": ["啥时候拿钱"]},
    ]
    recorded.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    code, _, err = run("index", folder, "--collection", collection, "--questions", recorded)
    assert code == 0, err
    assert "2 questions" in err
    _, out, _ = run("search", "啥时候拿钱", "-c", collection, "--strategy", "questions", "--explain", "--json")
    hit = json.loads(out)["hits"][0]
    assert hit["source"] == "pay.txt"
    assert hit["explain"]["questions"]["matched"] == "啥时候拿钱"


def test_what_the_question_itself_asked_for_is_told(run, tmp_path, collection):
    rows = [{"_id": f"{n}", "text": f"内容 {n}", "metadata": {"law": "茶室规则", "rule": f"第{n}条"}} for n in (1, 2)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    assert run("index", tmp_path / "c.jsonl", "-c", collection, "--no-questions")[0] == 0
    code, out, _ = run("search", "茶室规则第二条", "-c", collection, "--explain")
    assert code == 0
    assert "self-query (filter): 茶室规则 = law 茶室规则; 第二条 = rule 第2条" in " ".join(out.split())
    code, out, _ = run("search", "茶室规则第九条", "-c", collection)
    assert "self-query (filter, relaxed: nothing matches it)" in " ".join(out.split())
    assert "rule (none there)" in " ".join(out.split())
    code, out, _ = run("search", "茶室规则第二条", "-c", collection, "--explain", "--no-self-query")
    assert "self-query" not in out


def test_what_the_language_model_costs_and_what_the_filter_drops(run, folder, collection, tmp_path):
    told = {"prompt_tokens": 1000, "completion_tokens": 50}
    server = Scripted()
    server.script = [(200, completion("年假有几天\n年假 天数") | {"usage": told})]
    settings = {
        "BOTHWAYS_LLM_BASE_URL": server.url,
        "BOTHWAYS_LLM_MODEL": "m",
        "BOTHWAYS_LLM_PRICE_PROMPT": "2",
        "BOTHWAYS_LLM_PRICE_COMPLETION": "8",
        "BOTHWAYS_CACHE_DIR": str(tmp_path / "cache"),
    }
    try:
        _, _, err = run("index", folder, "-c", collection, "--dry-run", **settings)
        assert server.requests == []
        assert "with 2 calls of the language model (" in err
        assert "+ 240 tokens, cost 0.00" in err
        assert "Tokens are an estimate" in err
        filtering = ("--filter-questions", "round-trip", "--filter-top-k", "1")
        code, _, err = run("index", folder, "-c", collection, *filtering, **settings)
    finally:
        server.close()
    assert code == 0
    assert "2 calls of the language model (2,000 + 100 tokens, cost 0.0048), 0 from the cache" in err.replace("\n", " ")
    assert "The filter round-trip/1 dropped 2 of 4 questions." in err  # both files got the same, about one of them
    code, _, err = run("index", folder, "-c", collection, "--filter-questions", "magic")
    assert code == 2
    assert "'magic' is not one of" in err


def test_dry_run(run, folder, collection):
    code, _, err = run("index", folder, "--collection", collection, "--dry-run", "--no-questions")
    assert code == 0
    assert "Would index 2 new" in err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["search", "x", "--collection", "never-made"], 1, "bothways index PATH --collection never-made"),
        (["search", "x", "--collection", "Not A Name"], 2, "collection's name"),
        (["search", "", "--collection", "never-made"], 2, "empty"),
        (["search", "x", "-c", "c", "--strategy", "magic"], 2, "hybrid_rerank"),
        (["search", "x", "-c", "c", "--filter", "law"], 2, "FIELD=VALUE"),
        (["search", "x", "-c", "c", "--top-k", "0"], 2, "--top-k"),
        (["index", "/no/such/folder", "--collection", "c"], 2, "no file or folder"),
        (["index", ".", "--collection", "c", "--no-questions", "--questions", "x"], 2, "exclude"),
        (
            ["index", ".", "--collection", "c", "--chunker", "page"],
            2,
            "is not one of 'sentence', 'statute', 'section', 'semantic'",
        ),
        (["eval", "/no/such/file", "--collection", "c"], 2, "cannot be read"),
        (["eval", "/no/such/file", "--collection", "c", "--k", "x"], 2, "--k wants"),
        (["eval", "/no/such/file", "--collection", "c", "--split", "test"], 2, "'test' is not one of 'dev', 'train'"),
        (["eval", "/no/such/file", "--collection", "c", "--run", "../x=y"], 2, "--run wants NAME=FILE"),
        (["eval", "/no/such/file", "--collection", "c", "--strategies", "bm52"], 2, "no strategy 'bm52'"),
        (["eval", "tune", "/no/such/file", "--collection", "c", "--params", "x"], 2, "no parameter 'x'"),
        (["eval", "tune", "/no/such/file", "--collection", "c", "--values", "k"], 2, "--values wants"),
        (["eval", "/no/such/file", "--collection", "c", "--fusion", "sum"], 2, "'sum' is not one of 'convex', 'rrf'"),
        (["search", "问", "--rewrite", "always"], 2, "'always' is not one of 'none',"),
        (["eval", "compare", "/no/such/file", "/no/such/file"], 2, "cannot be read"),
        (["eval", "trec", "/no/such/file", "/no/such/file"], 2, "cannot be read"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_what_is_wrong_is_one_clear_line_and_an_exit_code(run, words, code, says):
    left, out, err = run(*words)
    assert left == code
    assert says in err
    assert out == ""
    assert "Traceback" not in err


def test_a_dead_elasticsearch_is_a_clear_error(run):
    code, out, err = run("search", "x", "--collection", "law", BOTHWAYS_ES_URL="http://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert "No Elasticsearch answers at http://127.0.0.1:1" in err
    assert "bothways es up" in err


def test_a_wrong_setting_is_a_clear_error(run):
    code, _, err = run("search", "x", "--collection", "law", BOTHWAYS_LEG_K="many")
    assert code == 2
    assert "BOTHWAYS_LEG_K" in err


def test_an_empty_folder_fails(run, tmp_path, collection):
    code, _, err = run("index", tmp_path, "--collection", collection, "--no-questions")
    assert code == 1
    assert "No document was found" in err


def test_a_dead_language_model_costs_the_questions_and_nothing_else(run, folder, collection):
    dead = {
        "BOTHWAYS_LLM_BASE_URL": "http://127.0.0.1:1/v1",
        "BOTHWAYS_LLM_MODEL": "m",
        "BOTHWAYS_FIXED": '{"llm_max_retries": 0}',
    }
    code, _, err = run("index", folder, "--collection", collection, **dead)
    assert code == 1
    assert "2 indexed (0 questions" in err
    assert "No language model answers at http://127.0.0.1:1/v1" in err
    assert "Traceback" not in err
    code, out, _ = run("search", "发工资是哪天", "-c", collection, "--json")
    assert json.loads(out)["hits"][0]["source"] == "pay.txt"


def test_a_dead_language_model_without_a_name_costs_the_questions_and_nothing_else(run, folder, collection):
    dead = {"BOTHWAYS_LLM_BASE_URL": "http://127.0.0.1:1/v1", "BOTHWAYS_FIXED": '{"llm_max_retries": 0}'}
    code, _, err = run("index", folder, "--collection", collection, "--dry-run", **dead)
    assert code == 0
    assert "with 2 calls" in err
    code, _, err = run("index", folder, "--collection", collection, **dead)
    assert code == 1
    assert "2 indexed (0 questions" in err


def test_a_taken_port_is_named(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = run("serve", "--port", taken.getsockname()[1])
    assert code == 1
    assert "Cannot listen on 127.0.0.1:" in err
    assert "--port" in err


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_public_address_without_keys_is_refused(run, host):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code, out, err = run("serve", "--host", host, "--port", port)
    assert (code, out) == (2, "")
    assert "BOTHWAYS_API_KEYS" in err
    assert "--without-keys" in err
    with socket.create_server(("127.0.0.1", port)):
        pass  # and the port is free again


@pytest.mark.parametrize(
    ("host", "options", "environment"),
    [
        ("0.0.0.0", ["--without-keys"], {}),
        ("0.0.0.0", [], {"BOTHWAYS_WITHOUT_KEYS": "true"}),
        ("0.0.0.0", [], {"BOTHWAYS_API_KEYS": "k" * 40}),
        ("localhost", [], {}),
        ("127.0.0.2", [], {}),
    ],
)
def test_one_that_is_meant_is_served(host, options, environment):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from bothways.cli.main import main; main()",
        "serve",
        "--host",
        host,
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        [*command, *options], cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr.readline().startswith(f"Serving on http://{host}:{port}")
        server.terminate()
        server.communicate(timeout=60)


def test_serve_answers_and_ends_in_good_order_on_ctrl_c(es_url):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", "serve", "--port", str(port)]
    environment = {**os.environ, "BOTHWAYS_ES_URL": es_url}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        for _ in range(300):
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                    break
            time.sleep(0.1)
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=30)
    assert server.returncode == 0
    assert f"Serving on http://127.0.0.1:{port}: console at http://127.0.0.1:{port}/console/" in err
    assert "Traceback" not in err
    assert "Interrupted" not in err


def test_eval_names_what_is_not_in_the_index_and_refuses_a_k_beyond_the_legs(run, folder, collection, tmp_path):
    run("index", folder, "--collection", collection, "--no-questions")
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_text('{"_id": "[/red]", "text": "年假"}\n', encoding="utf-8")
    qrels.write_text("query-id\tcorpus-id\tscore\n[/red]\tnowhere\t1\n", encoding="utf-8")
    code, _, err = run("eval", queries, "--qrels", qrels, "--collection", collection, "--strategies", "bm25")
    assert code == 0
    assert "1 judged documents are not in the index and count as not found: [/red]: nowhere." in err
    assert "1 queries have no other and score 0" in err
    code, _, err = run("eval", queries, "--qrels", qrels, "--collection", collection, "--k", "31")
    assert code == 2
    assert "BOTHWAYS_LEG_K" in err


def test_control_characters_of_file_names_do_not_reach_the_terminal(run, folder, collection):
    (folder / "evil\x1b[2J.txt").write_text("")
    _, _, err = run("index", folder, "--collection", collection, "--no-questions")
    assert "\x1b" not in err
    assert "evil\\x1b[2J.txt" in err


def test_ctrl_c_says_that_nothing_is_lost(run, monkeypatch, folder, collection):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bothways.cli.verbs.index.run_job", interrupted)
    code, _, err = run("index", folder, "--collection", collection, "--no-questions")
    assert code == 1
    assert "run the same command again" in err


def test_debug_shows_the_traceback(run):
    with pytest.raises(Exception, match="no file or folder"):
        run("--debug", "index", "/no/such/folder", "--collection", "c")
