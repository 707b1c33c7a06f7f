"""The MCP server by the mcp package's own client: over stdio, over streamable HTTP, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import httpx2  # what the mcp package asks by
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from bothways.client.mcp import Target, build_server
from tests.run_node import free_port

pytestmark = pytest.mark.elasticsearch

QUESTION = "请假要提前几天提交申请"
ROOT = Path(__file__).parents[2]
COMMAND = ["-c", "from bothways.cli.main import main; main()", "mcp"]


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BOTHWAYS_")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def stdio(server, *options, **more):
    arguments = [*COMMAND, "--server", server, *options]
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment(**more), cwd=ROOT)


@contextmanager
def over_http(server, *options, **more):
    port = free_port()
    command = [sys.executable, *COMMAND, "--server", server, "--http", "--port", str(port), *options]
    process = subprocess.Popen(command, env=environment(**more), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stderr.readline().removeprefix("MCP on ").partition(",")[0]
        assert url.endswith(f":{port}/mcp")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                httpx.get(url + "/nothing")
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def called(server, *calls):
    """Call tools one after the other in a session: gives their results."""

    async def session():
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(session())


def text(result):
    (content,) = result.content
    return content.text


def check_tools(server, filled):
    """What a session shows, whatever carries it."""
    search = {"query": QUESTION, "collection": filled, "top_k": 1, "strategy": "bm25"}
    found, asked, listed = called(
        server,
        ("search", search),
        ("ask", {"question": QUESTION, "collection": filled, "top_k": 2}),
        ("list_collections", {}),
    )
    assert not found.is_error
    assert text(found) == "[1] source=c.jsonl | 员工手册 | 第二章 | 第八条\n员工请假应当提前三天提交申请。"
    (passage,) = found.structured_content["passages"]
    assert (passage["rank"], passage["chunk_id"], passage["metadata"]["law"]) == (1, "leave-0", "员工手册")
    assert found.structured_content["collection"] == filled

    assert text(asked).startswith("提前三天[1]。\n\n[1] source=c.jsonl | ")
    assert asked.structured_content["answer"] == "提前三天[1]。"
    assert [one["n"] for one in asked.structured_content["citations"]] == [1]

    row = next(one for one in listed.structured_content["collections"] if one["name"] == filled)
    assert row == {
        "name": filled, "documents": 4, "chunks": 4, "metadata_fields": ["article", "chapter", "law"],
    }  # fmt: skip
    assert f"{filled}: 4 documents, 4 chunks; filters: article, chapter, law" in text(listed)


def test_over_stdio(server, filled):
    check_tools(stdio(server.url), filled)


def test_over_streamable_http(server, filled):
    with over_http(server.url) as url:
        check_tools(url, filled)


def test_stdout_has_messages_alone(server):
    hello = (
        '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", '
        '"capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}\n'
    )
    command = [
        sys.executable,
        "-c",
        "from bothways.cli.main import main; main()",
        "--debug",
        "mcp",
        "--server",
        server.url,
    ]
    done = subprocess.run(command, input=hello, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=60)
    (line,) = done.stdout.splitlines()
    assert '"id":1' in line
    assert '"name":"bothways"' in line
    assert done.returncode == 0, done.stderr


def test_the_tools_say_what_they_take_and_that_they_only_read(server):
    async def session():
        async with Client(build_server(Target(url=server.url))) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(session())}
    assert set(tools) == {"search", "ask", "list_collections"}
    assert all(tool.annotations.read_only_hint and not tool.annotations.open_world_hint for tool in tools.values())
    assert tools["search"].input_schema["required"] == ["query"]
    assert set(tools["search"].input_schema["properties"]) == {"query", "collection", "top_k", "strategy", "filters"}
    assert set(tools["search"].output_schema["properties"]) == {"query_id", "collection", "passages", "degraded"}
    assert "citations" in tools["ask"].output_schema["properties"]


def test_errors_say_what_to_do(server, filled):
    unknown, wrong, misspelt, missing = called(
        build_server(Target(url=server.url)),
        ("search", {"query": QUESTION, "collection": "no-such"}),
        ("search", {"query": QUESTION, "collection": filled, "top_k": 0}),
        ("search", {"query": QUESTION, "collection": filled, "filters": {"lawx": "民法典"}}),
        ("search", {"query": QUESTION}),
    )
    assert all(result.is_error for result in (unknown, wrong, misspelt))
    assert "There is no collection 'no-such'" in text(unknown)
    assert "greater than or equal to 1" in text(wrong)
    assert "chunk_id, doc_id, law" in text(misspelt)
    if missing.is_error:  # the node may hold other collections
        assert filled in text(missing)
    (gone,) = called(build_server(Target(url=f"http://127.0.0.1:{free_port()}")), ("list_collections", {}))
    assert "bothways serve" in text(gone)


def test_a_collection_that_is_meant(server, filled):
    target = Target(url=server.url, collection=filled)
    (found,) = called(build_server(target), ("search", {"query": QUESTION, "strategy": "bm25", "filters": {}}))
    assert found.structured_content["collection"] == filled


def test_filters(server, filled):
    arguments = {"query": QUESTION, "collection": filled, "filters": {"law": ["售后规则"]}}
    (found,) = called(build_server(Target(url=server.url)), ("search", arguments))
    assert [one["doc_id"] for one in found.structured_content["passages"]] == ["refund"]


def test_the_key_of_the_settings(serve):
    locked = serve(api_keys="the-secret-of-a-test").url
    (refused,) = called(stdio(locked), ("list_collections", {}))
    assert refused.is_error
    assert "API key" in text(refused)
    (listed,) = called(stdio(locked, BOTHWAYS_SERVER_API_KEY="the-secret-of-a-test"), ("list_collections", {}))
    assert not listed.is_error


def with_key(url, key):
    async def session():
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await client.call_tool("list_collections", {})

    return asyncio.run(session())


def test_over_http_the_callers_key_goes_before_ours(serve):
    locked = serve(api_keys="the-secret-of-a-test").url
    with over_http(locked, BOTHWAYS_SERVER_API_KEY="the-secret-of-a-test") as url:
        assert not called(url, ("list_collections", {}))[0].is_error  # on this machine ours is lent
        assert with_key(url, "wrong").is_error
        assert not with_key(url, "the-secret-of-a-test").is_error
    with over_http(locked, "--host", "127.0.0.2", BOTHWAYS_SERVER_API_KEY="the-secret-of-a-test") as url:
        assert "API key" in text(called(url, ("list_collections", {}))[0])
        assert not with_key(url, "the-secret-of-a-test").is_error


def test_names_of_elsewhere_are_refused(server):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    with over_http(server.url, "--allowed-host", "mcp.example.com") as url:
        for headers, status in [
            ({"Host": "evil.example"}, 421),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "http://127.0.0.1:3000"}, 403),  # another server on this machine
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Host": "mcp.example.com"}, 200),
            ({}, 200),
        ]:
            assert httpx.post(url, json=hello, headers=accept | headers).status_code == status, headers


def test_a_public_address_takes_an_api_with_keys(run, server):
    there = ["mcp", "--http", "--host", "0.0.0.0", "--port", free_port()]
    code, out, said = run(*there, "--server", server.url)
    assert (code, out) == (2, "")
    assert "--without-keys" in said
    code, _, said = run(*there, "--server", f"http://127.0.0.1:{free_port()}")
    assert code == 2
    assert "bothways serve" in said
    with over_http(server.url, "--host", "0.0.0.0", "--without-keys") as url:
        assert httpx.get(url + "/nothing").status_code == 404


def test_a_public_address_with_keys(serve):
    locked = serve(api_keys="k" * 40).url
    with over_http(locked, "--host", "0.0.0.0") as url:
        assert not with_key(url, "k" * 40).is_error
        assert "API key" in text(called(url, ("list_collections", {}))[0])


def test_bad_usage(run):
    code, out, said = run("mcp", "--server", "localhost:8000")
    assert (code, out) == (2, "")
    assert "http://127.0.0.1:8000" in said
