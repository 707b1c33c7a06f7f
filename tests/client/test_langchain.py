"""The retriever and the tool against a real server, by langchain-core's own standard tests and by ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from langchain_core.documents import Document
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from pydantic import SecretStr, ValidationError

from bothways.client.errors import AuthenticationError, NotFoundError
from bothways.client.langchain import BothwaysRetriever, RagSearch
from bothways.schemas.search import Hit

pytestmark = pytest.mark.elasticsearch

QUESTION = "请假要提前几天提交申请"


@pytest.mark.anyio
class Placed:
    """Gives the standard tests, which know no fixtures, the server and the collection."""

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture(autouse=True)
    def _place(self, server, filled):
        self.url, self.collection = server.url, filled


class TestRetrieverStandard(Placed, RetrieversIntegrationTests):
    retriever_constructor = BothwaysRetriever
    retriever_query_example = QUESTION

    @property
    def retriever_constructor_params(self):
        return {"url": self.url, "collection": self.collection, "strategy": "hybrid"}


class ToolPlaced(Placed):
    tool_constructor = RagSearch

    @property
    def tool_constructor_params(self):
        return {"url": self.url}

    @property
    def tool_invoke_params_example(self):
        return {"query": QUESTION, "db_name": self.collection, "top_k": 2}


class TestToolStandard(ToolPlaced, ToolsIntegrationTests):
    pass


class TestToolStandardUnit(ToolPlaced, ToolsUnitTests):
    @property
    def init_from_env_params(self):
        return {"BOTHWAYS_SERVER_URL": self.url}, {}, {"name": "rag_search", "api_key": None}


@pytest.fixture
def retriever(server, filled):
    return BothwaysRetriever(url=server.url, collection=filled, strategy="bm25", k=2)


@pytest.fixture
def tool(server):
    return RagSearch(url=server.url, strategy="bm25")


def test_a_document_carries_what_is_known_of_its_chunk(retriever, filled):
    first = retriever.invoke(QUESTION)[0]
    assert (first.id, first.page_content) == ("leave-0", "员工请假应当提前三天提交申请。")
    known = dict(first.metadata)
    assert known.pop("score") > 0
    assert len(known.pop("query_id")) == 32
    assert known == {
        "law": "员工手册", "chapter": "第二章", "article": "第八条", "chunk_id": "leave-0", "doc_id": "leave",
        "title": "请假", "source": "c.jsonl", "rank": 1, "collection": filled,
    }  # fmt: skip


def test_filters_are_fields_and_arguments(server, filled):
    fixed = BothwaysRetriever(url=server.url, collection=filled, strategy="hybrid", filters={"law": "售后规则"})
    assert [one.metadata["doc_id"] for one in fixed.invoke(QUESTION)] == ["refund"]
    given = fixed.invoke(QUESTION, filters={"law": "民法典"})
    assert [one.metadata["doc_id"] for one in given] == ["rescue"]


def test_the_same_with_an_event_loop_and_with_another(retriever):
    plain = [one.id for one in retriever.invoke(QUESTION)]
    for _ in range(2):
        assert [one.id for one in asyncio.run(retriever.ainvoke(QUESTION))] == plain
    many = asyncio.run(retriever.abatch([QUESTION, "退货"]))
    assert [found[0].metadata["doc_id"] for found in many] == ["leave", "refund"]


def test_in_a_chain(retriever):
    chain = retriever | (lambda documents: [one.metadata["doc_id"] for one in documents])
    assert chain.invoke("退货")[0] == "refund"


def test_errors_are_raised(server):
    with pytest.raises(NotFoundError, match="no-such"):
        BothwaysRetriever(url=server.url, collection="no-such").invoke(QUESTION)
    with pytest.raises(ValidationError, match="1"):
        BothwaysRetriever(url=server.url, collection="c", k=0)
    with pytest.raises(ValidationError, match="top_k"):
        BothwaysRetriever(url=server.url, collection="c", top_k=3)


def test_keys(serve, filled):
    locked = serve(api_keys="the-secret-of-a-test").url
    with pytest.raises(AuthenticationError):
        BothwaysRetriever(url=locked, collection=filled).invoke(QUESTION)
    known = BothwaysRetriever(url=locked, collection=filled, strategy="bm25", api_key=SecretStr("the-secret-of-a-test"))
    assert known.invoke(QUESTION)
    assert "the-secret-of-a-test" not in repr(known)


def test_the_tools_passages(tool, filled):
    told = tool.invoke({"query": "请假 退货 救助 水泵", "db_name": filled, "top_k": 4})
    passages = sorted(passage.split("] ", 1)[1] for passage in told.split("\n\n"))
    assert passages == [
        "source=c.jsonl | 员工手册 | 第二章 | 第八条\n员工请假应当提前三天提交申请。",
        "source=c.jsonl | 售后规则 | 第三条\n签收后七天内可以无理由退货。",
        "source=c.jsonl | 手册\n水泵过热时先关闭电源，再检查轴承。",
        "source=c.jsonl | 民法典\n因自愿实施紧急救助行为造成受助人损害的，救助人不承担民事责任。",
    ]
    assert [told.index(f"[{n}] ") for n in (1, 2, 3, 4)] == sorted(told.index(f"[{n}] ") for n in (1, 2, 3, 4))


def test_the_tools_hits_are_the_artifact(tool, filled):
    call = {"name": "rag_search", "args": {"query": QUESTION, "db_name": filled, "top_k": 1}, "id": "1"}
    message = tool.invoke({**call, "type": "tool_call"})
    assert message.content.startswith("[1] source=c.jsonl | 员工手册")
    assert [type(hit) for hit in message.artifact] == [Hit]
    again = asyncio.run(tool.ainvoke({**call, "type": "tool_call"}))
    assert again.content == message.content


def test_the_tool_has_a_collection_of_its_own(server, filled):
    assert "[1]" in RagSearch(url=server.url, strategy="bm25", collection=filled).invoke({"query": QUESTION})


def test_what_goes_wrong_is_told_to_the_model(tool):
    assert "db_name" in tool.invoke({"query": QUESTION})
    assert "There is no collection 'no-such'" in tool.invoke({"query": QUESTION, "db_name": "no-such"})
    call = {"name": "rag_search", "args": {"query": QUESTION, "db_name": "no-such"}, "id": "1", "type": "tool_call"}
    assert tool.invoke(call).status == "error"
    assert "bothways serve" in RagSearch(url="http://127.0.0.1:9").invoke({"query": QUESTION, "db_name": "c"})


def test_what_a_model_is_told_of_the_tool(tool):
    schema = tool.tool_call_schema.model_json_schema()
    assert set(schema["properties"]) == {"query", "db_name", "top_k"}
    assert schema["required"] == ["query"]
    assert "data" in tool.description


def test_nothing_found(tool, filled):
    assert tool.invoke({"query": "zzzz", "db_name": filled}) == "Nothing was found."


def test_without_langchain_it_says_what_to_install():
    code = "import sys; sys.modules['langchain_core.callbacks'] = None; import bothways.client.langchain"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "bothways[langchain]"' in done.stderr
    assert done.returncode == 1


def test_documents_are_langchains(retriever):
    assert all(isinstance(one, Document) for one in retriever.invoke(QUESTION))
