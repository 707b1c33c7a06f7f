"""Elasticsearch in a container for a run of the tests, where there is an engine."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from testcontainers.core.container import DockerContainer

from bothways.node.config import install_synonyms
from bothways.node.docker import CONFIG, IMAGE
from bothways.node.process import wait_until_ready


@contextmanager
def elasticsearch_container(rules):
    """Run the image of the product's own node; gives its address and the folder of its synonyms files."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # read by the container's user
        analysis = install_synonyms(Path(folder), rules, container=True).parent
        container = (
            DockerContainer(IMAGE)
            .with_env("discovery.type", "single-node")
            .with_env("xpack.security.enabled", "false")
            .with_env("action.destructive_requires_name", "true")
            .with_env("ES_JAVA_OPTS", "-Xms1g -Xmx1g")
            .with_volume_mapping(str(analysis), f"{CONFIG}/analysis", "ro")
            .with_exposed_ports(9200)
        )
        with container:
            url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(9200)}"
            wait_until_ready(url, lambda: _require_running(container))
            yield url, analysis


def _require_running(container):
    wrapped = container.get_wrapped_container()
    wrapped.reload()
    assert wrapped.status in {"created", "running"}, wrapped.logs(tail=20).decode("utf-8", "replace")
