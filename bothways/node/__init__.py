"""An Elasticsearch node of our own, for users without one: fetched once, run on loopback, stopped by name.

`up` returns a `NodeInfo` with the address. The node runs on after the program that started it has ended, and
`resolve_url` finds it again. Nothing here reads or writes indices.
"""

from bothways.node.config import install_synonyms
from bothways.node.distribution.fetch import fetch_distribution
from bothways.node.distribution.jdk import find_jdk
from bothways.node.docker import docker_available
from bothways.node.local import down, find_login, is_at, purge, resolve_url, status, up
from bothways.node.login import Login
from bothways.node.state import NodeInfo

__all__ = [
    "Login",
    "NodeInfo",
    "docker_available",
    "down",
    "fetch_distribution",
    "find_jdk",
    "find_login",
    "install_synonyms",
    "is_at",
    "purge",
    "resolve_url",
    "status",
    "up",
]
