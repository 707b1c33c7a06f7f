"""The typed client of a Bothways server, with and without an event loop; nothing but httpx is behind it.

from bothways import Client

with Client("http://127.0.0.1:8000", api_key="…") as client:
for hit in client.search("路上有人晕倒我不救会怎样？", "law", top_k=3).hits:
print(hit.rank, hit.title, hit.text)
"""

from bothways.client.async_client import AsyncClient
from bothways.client.blocking import Client

__all__ = ["AsyncClient", "Client"]
