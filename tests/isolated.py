"""An Elasticsearch of a test's own within the shared one: all names of ours get another beginning on their way out.

For tests that list, change and delete whatever there is, as one that follows every link of the API.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager

from elastic_transport._node import NodeApiResponse

from bothways.node.connect import connect

OURS = b"bothways-"


@contextmanager
def isolated(settings):
    """Give a client and what the server said of itself; whatever is made through the client is removed at the end."""
    client, server = connect(settings)
    beginning = f"bw{uuid.uuid4().hex[:12]}-".encode()
    for node in client.transport.node_pool.all():
        node.__class__ = type("Isolated", (_Isolated, type(node)), {"beginning": beginning})
    try:
        yield client, server
    finally:
        for index in client.indices.get(index="bothways-*", expand_wildcards="all").body:
            client.indices.delete(index=index)
        for template in client.indices.get_index_template(name="bothways-*")["index_templates"]:
            client.indices.delete_index_template(name=template["name"])
        client.close()


class _Isolated:
    """A connection that writes and reads `beginning` where we say `bothways-`."""

    beginning = b""

    def perform_request(self, method, target, body=None, headers=None, **more):
        target = target.replace(OURS.decode(), self.beginning.decode())
        body = body.replace(OURS, self.beginning) if body else body
        meta, answer = super().perform_request(method, target, body, headers, **more)
        return NodeApiResponse(meta, answer.replace(self.beginning, OURS))
