"""What hidden documents change in the answers to a key with groups: nothing that can be read off them."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from fastapi.testclient import TestClient

import bothways.core.access.guarded
import bothways.core.collections.visibility
from bothways.api.app import create_app
from bothways.core.access.groups import Access
from bothways.core.access.guarded import guarded
from bothways.core.collections.collection import Collection, delete_collection
from bothways.core.collections.visibility import open_visible, require_known
from bothways.core.errors import CollectionNotFoundError
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.search.options import STRATEGIES
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, HashEncoder, OverlapCrossEncoder, make_parts
from tests.integration.test_access import sha

pytestmark = pytest.mark.elasticsearch

WORDS = "年假 报销 合同 仓库 冷却 轴承 保险 仲裁 档案 押金 考勤 津贴 招标 罚款".split()  # noqa: SIM905
QUESTION = " ".join(WORDS)
ADMIN_KEY = "admin-" + "0" * 32


def row(identity, text, **metadata):
    return {"_id": identity, "text": text, "metadata": metadata}


# The n-th document has the question's first n words, so that BM25's order is the same whatever a word weighs.
VISIBLE = [
    row(f"d{n:02}", " ".join([*WORDS[:n], *["其他"] * (14 - n)]) + "。", groups="hr", area=f"第{n % 3}区")
    for n in range(1, 15)
]
HIDDEN = [
    row(f"h{n:02}", f"{WORDS[n % 3]}的机密和解，金额很大。" * 9, groups="legal", secret=f"海豚{n % 2}", area="第9区")
    for n in range(30)
]
COPIES = [row(f"copy-{one['_id']}", one["text"], groups="legal") for one in VISIBLE]


@pytest.fixture(scope="module")
def make(es, segmenter, tmp_path_factory):
    names = []

    def run(rows, **options):
        names.append(f"test-{uuid.uuid4().hex}")
        folder = tmp_path_factory.mktemp("docs")
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / "c.jsonl").write_text("\n".join(lines), encoding="utf-8")
        parts = make_parts(es, segmenter, writer=FixedWriter())
        assert index_path(folder, JobOptions(collection=names[-1], acl_field="groups", **options), parts).succeeded
        return names[-1]

    yield run
    for name in names:
        delete_collection(es[0], name)


@pytest.fixture(scope="module")
def alone(make):
    """The documents that group `hr` sees, and no others."""
    return make(VISIBLE)


@pytest.fixture(scope="module")
def among(make):
    """The same among hidden ones, of which some are copies of them, some have a field of their own."""
    return make([*VISIBLE, *HIDDEN, *COPIES])


@pytest.fixture
def http(es, segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(bothways.core.access.guarded, "TTL_S", 0.0)
    client, server = es
    path = tmp_path / "keys.toml"
    entries = [f'[[keys]]\nsha256 = "{sha(key)}"\ngroups = ["{key}"]\n' for key in ("hr", "other")]
    path.write_text("".join(entries), encoding="utf-8")
    path.chmod(0o600)
    searcher = Searcher(
        client, segmenter, HashEncoder, embedding_model="fake/hash", cross_encoder=lambda: OverlapCrossEncoder()
    )
    chosen = load_settings(api_keys=ADMIN_KEY, api_keys_file=path, cache_dir=tmp_path, rerank_alpha=0.5)
    return TestClient(create_app(chosen, lambda _: (searcher, server)), raise_server_exceptions=False)


def call(http, key, method, path, **more):
    return http.request(method, f"/api/v1{path}", headers={"X-API-Key": key}, **more)


def search(http, key, collection, **body):
    asked = {"query": QUESTION, "collection": collection, "top_k": 100, "explain": True} | body
    answer = call(http, key, "POST", "/search", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(answer, collection):
    """All that an answer says, but for what is new in each: its id, its times, the collection's name."""
    kept = {name: value for name, value in answer.items() if name not in {"query_id", "timings_ms"}}
    return json.loads(json.dumps(kept).replace(collection, "NAME"))


@pytest.mark.parametrize(
    "body",
    [
        *({"strategy": strategy} for strategy in STRATEGIES),
        {"strategy": "hybrid", "fusion": "rrf"},
        {"strategy": "hybrid", "rewrite": "auto"},
        {"strategy": "hybrid", "self_query": True, "query": f"海豚1 {QUESTION}"},
        {"strategy": "hybrid", "query": "第2区 的年假 报销"},
        {"strategy": "hybrid_rerank", "deduplicate": False, "top_k": 5, "offset": 5},
        {"strategy": "hybrid", "filters": {"area": ["第1区", "第9区"]}, "context": 2},
        {"strategy": "bm25", "query": "报"},
    ],
    ids=str,
)
def test_hidden_documents_change_nothing_in_an_answer(http, alone, among, body):
    asked = {"highlight": True, "facets": ["area", "source"], "context": 1} | body
    without, within = (told(search(http, "hr", name, **asked), name) for name in (alone, among))
    assert without["hits"]
    assert within == without


@pytest.mark.parametrize("strategy", ["bm25", "hybrid", "hybrid_rerank"])
def test_a_threshold_finds_no_score_out(http, among, strategy):
    """`min_score` is compared with what is shown, so trying thresholds tells no more than the answer does."""
    scores = [hit["score"] for hit in search(http, "hr", among, strategy=strategy)["hits"]]
    for least in scores:
        kept = search(http, "hr", among, strategy=strategy, min_score=least)["hits"]
        assert [hit["score"] for hit in kept] == [score for score in scores if score >= least]


def test_scores_of_bm25_are_of_the_rank_alone_where_something_is_hidden(http, among):
    hits = search(http, "hr", among, strategy="bm25")["hits"]
    assert [hit["score"] for hit in hits] == [rank**-0.3 for rank in range(1, 15)]
    assert [hit["explain"]["bm25"]["score"] for hit in hits] == [hit["score"] for hit in hits]
    assert search(http, ADMIN_KEY, among, strategy="bm25")["hits"][0]["score"] > 1


def test_where_nothing_is_protected_scores_are_those_of_elasticsearch(http, make, es):
    name = make([*VISIBLE])
    put = call(http, ADMIN_KEY, "PUT", f"/collections/{name}/acl", json={"field": None})
    assert put.status_code == 200
    seen, true = (search(http, key, name, strategy="bm25")["hits"] for key in ("hr", ADMIN_KEY))
    assert seen == true
    assert seen[0]["score"] > 1


def test_what_others_had_reranked_is_not_told(http, alone):
    """Neither by a number nor by the time: a key with groups has scores of its own in the memory."""
    assert search(http, ADMIN_KEY, alone)["reranking"]["cached"] == 0
    assert search(http, ADMIN_KEY, alone)["reranking"]["cached"] == 14
    searcher = http.app.state.searcher()
    scored = []
    model = searcher.reranker()._cross_encoder
    model.score = lambda query, texts: scored.append(len(texts)) or OverlapCrossEncoder().score(query, texts)
    assert search(http, "hr", alone)["reranking"] == {"candidates": 14, "scored": 14, "cached": None}
    assert sum(scored) == 14
    assert search(http, "hr", alone)["reranking"]["cached"] is None
    assert sum(scored) == 14


def test_a_field_that_only_hidden_documents_have_is_not_there(http, alone, among):
    def fields(key, name):
        row = call(http, key, "GET", f"/collections/{name}").json()
        listed = {row["name"]: row for row in call(http, key, "GET", "/collections").json()}
        assert listed[name] == row
        return row["metadata_fields"]

    assert "secret" in fields(ADMIN_KEY, among)
    assert fields("hr", among) == fields("hr", alone) == ["area"]
    for body in ({"filters": {"secret": "海豚1"}}, {"facets": ["secret"]}, {"filters": {"secret": {"exists": False}}}):
        answers = [
            call(http, "hr", "POST", "/search", json={"query": "年假", "collection": name, **body})
            for name in (alone, among)
        ]
        assert [answer.status_code for answer in answers] == [422, 422]
        assert answers[0].json() == answers[1].json()


def test_documents_are_listed_and_shown_as_if_no_others_were_there(http, alone, among):
    for path in ("documents", "documents?limit=3&after=d05", "documents/d03", "documents/h00", "documents/nope"):
        without, within = (call(http, "hr", "GET", f"/collections/{name}/{path}") for name in (alone, among))
        assert within.status_code == without.status_code
        assert json.loads(within.text.replace(among, "NAME")) == json.loads(without.text.replace(alone, "NAME"))
    rows = [call(http, "hr", "GET", f"/collections/{name}").json() for name in (alone, among)]
    assert [(row["documents"], row["chunks"], row["versions"]) for row in rows] == [(14, 14, [])] * 2


class _Counting:
    """Counts what goes out to Elasticsearch."""

    def __init__(self, client):
        self.sent = []
        real = client.transport.perform_request

        def perform_request(method, target, **more):
            self.sent.append((method, target.partition("?")[0]))
            return real(method, target, **more)

        client._transport.perform_request = perform_request


@pytest.fixture
def counted(es):
    from bothways.node.connect import connect

    client, _ = connect(load_settings(es_url=str(next(iter(es[0].transport.node_pool.all())).base_url)))
    yield client, _Counting(client)
    client.close()


def test_a_hidden_collection_takes_the_requests_of_a_missing_one(counted, among, alone):
    client, count = counted

    def requests(name, groups):
        seen = guarded(client, Access(frozenset(groups)))
        for _ in range(2):
            count.sent.clear()
            with pytest.raises(CollectionNotFoundError) as raised:
                open_visible(seen, name)
            yield list(count.sent), str(raised.value).replace(name, "NAME")

    hidden, missing = (list(requests(name, ["other"])) for name in (among, "missing"))
    assert hidden == missing
    assert [len(sent) for sent, _ in hidden] == [2, 0]  # and for a second nothing is asked again
    assert open_visible(guarded(client, Access(frozenset({"hr"}))), among).is_partial


def test_a_collection_that_is_new_is_known_within_a_second(es, make, monkeypatch):
    monkeypatch.setattr(bothways.core.access.guarded, "TTL_S", 0.2)
    seen = guarded(es[0], Access(frozenset({"hr"})))
    with pytest.raises(CollectionNotFoundError):
        require_known(seen, "missing")
    name = make(VISIBLE[:1])
    time.sleep(0.2)
    require_known(seen, name)


def test_what_cannot_be_looked_at_is_said_alike_of_every_unknown_name(es, among, monkeypatch):
    """One collection in trouble makes its own name no different from one that nothing has."""
    seen = guarded(es[0], Access(frozenset({"other"})))
    real = type(seen).msearch

    def broken(self, **options):
        answer = real(self, **options)
        answer.body["responses"][0] = {"error": {"reason": "all shards failed"}, "status": 503}
        return answer

    monkeypatch.setattr(type(seen), "msearch", broken)
    said = set()
    for name in (among, "missing"):
        with pytest.raises(Exception, match="could not search every collection") as raised:
            require_known(seen, name)
        said.add(str(raised.value))
    assert len(said) == 1


def test_names_of_fields_that_look_like_patterns_are_no_patterns(es):
    """A metadata key of the data is never read as a pattern for other fields."""
    seen = guarded(es[0], Access(frozenset({"hr"})))
    asked = {}
    seen._acl_field = lambda index, params: "groups"
    seen.search = lambda **body: asked.update(body) or _Answer()
    fields = frozenset({"groups", "a*", "*", "[g]roups", "size [mm]", "area"})
    bothways.core.collections.visibility.as_visible(
        Collection(
            name="x",
            index="bothways-x-v1",
            embedding_model="m",
            dimension=1,
            analyzer="a",
            schema_version=1,
            metadata_fields=fields,
        ),
        seen,
    )
    named = [one["exists"]["field"] for one in asked["aggs"]["fields"]["filters"]["filters"]]
    assert named == ["metadata.area", "metadata.size [mm]"]


class _Answer(dict):
    def __init__(self):
        buckets = [{"doc_count": 1}, {"doc_count": 1}]
        super().__init__(hits={"total": {"value": 1}}, aggregations={"fields": {"buckets": buckets}})
        self.body = self
