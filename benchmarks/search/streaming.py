"""How long the first words of an answer are on their way: from the language model's first token to the client.

    python -m benchmarks.search.streaming --collection law --question "小孩把人打伤了家长要赔钱吗"

A real `bothways serve` in a process of its own, a scripted endpoint and the clients in this one, so that both ends have
the same clock. Questions are asked in turns and many at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time

import httpx

from benchmarks.shared.measure import percentile

LIMIT_MS = 50.0
"""What may lie between the two."""

_NUMBER = re.compile(rb"\(no\. (\d+)\)")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_PIECES = ("由监护人", "承担", "侵权责任", "[1]", "。")


class Endpoint:
    """Streams the same answer to everybody; `first` has when the first token of each numbered question was written."""

    def __init__(self) -> None:
        self.first: dict[int, float] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        body = json.loads(await reader.readexactly(int(length[1]) if length else 0))
        number = _NUMBER.search(body["messages"][0]["content"].encode())
        writer.write(_HEAD)
        for piece in (*_PIECES, None):
            await asyncio.sleep(0.05)
            if number and int(number[1]) not in self.first:
                self.first[int(number[1])] = time.perf_counter()
            choice = {
                "index": 0,
                "delta": {"content": piece} if piece else {},
                "finish_reason": None if piece else "stop",
            }
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
        writer.write(b"data: [DONE]\n\n")
        writer.close()
        await writer.wait_closed()


async def first_byte(http: httpx.AsyncClient, body: dict[str, object]) -> float:
    """Ask; gives when the first byte of the stream came."""
    async with http.stream("POST", "/api/v1/ask", json=body) as answer:
        came = 0.0
        async for chunk in answer.aiter_raw():
            came = came or time.perf_counter()
            if b"event: done" in chunk:
                break
        return came


async def measure(args: argparse.Namespace) -> bool:
    """Measure and print; gives whether the median of each row keeps the limit."""
    endpoint = Endpoint()
    llm = await asyncio.start_server(endpoint.answer, "127.0.0.1", 0, backlog=512)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "BOTHWAYS_LLM_BASE_URL": f"http://127.0.0.1:{llm.sockets[0].getsockname()[1]}/v1",
        "BOTHWAYS_LLM_MODEL": "m",
        "BOTHWAYS_FEEDBACK": "false",
    }
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=environment)
    try:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=600, limits=limits) as http:
            return await rows(http, endpoint, args)
    finally:
        server.terminate()
        server.wait()
        llm.close()


async def rows(http: httpx.AsyncClient, endpoint: Endpoint, args: argparse.Namespace) -> bool:
    """Ask as often as wanted with one client, and with many."""
    while True:
        try:
            if (await http.get("/health/ready")).status_code == httpx.codes.OK:
                break
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.5)
    number, kept = 0, True
    print("| clients | streams | p50 ms | p95 ms | most |\n|---|---|---|---|---|")
    for clients in (1, 16, 100):
        took: list[float] = []
        for _ in range(max(2, args.streams // clients)):
            numbers = range(number, number + clients)
            number += clients
            bodies = [
                {
                    "query": f"{args.question} (no. {n})",
                    "collection": args.collection,
                    "strategy": "bm25",
                    "stream": True,
                }
                for n in numbers
            ]
            came = await asyncio.gather(*(first_byte(http, body) for body in bodies))
            took += [1000 * (at - endpoint.first[n]) for n, at in zip(numbers, came, strict=True)]
        took = took[clients:]  # the first round makes what is made once
        middle = percentile(took, 50)
        kept = kept and middle <= LIMIT_MS
        print(f"| {clients} | {len(took)} | {middle:.1f} | {percentile(took, 95):.1f} | {max(took):.1f} |")
    return kept


def main() -> None:
    """Run; the exit code is 1 where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collection", required=True)
    parser.add_argument("--question", required=True)
    parser.add_argument("--streams", type=int, default=40, help="streams with one client [40]")
    sys.exit(0 if asyncio.run(measure(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
