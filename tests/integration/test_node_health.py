"""What `bothways es status` says of a node whose disk is full, and of one with a damaged index."""

import json
import time

import pytest
from typer.testing import CliRunner

from bothways.cli.main import app
from bothways.cli.verbs import es as verbs
from bothways.core.elastic.cluster_health import cluster_health
from bothways.node import down, up
from bothways.node.config import DISK
from bothways.node.connect import connect
from tests.own_node import own_place
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

LOW, HIGH, FLOOD = (f"cluster.routing.allocation.disk.watermark.{name}" for name in ("low", "high", "flood_stage"))
FULL = "The disk of Elasticsearch's data"


@pytest.fixture(scope="module")
def node(home):
    with own_place() as chosen:
        up(chosen, kind="local", home=home)
        yield chosen


@pytest.fixture
def client(node):
    with connect(node)[0] as opened:
        yield opened


def is_blocked(client, index):
    return bool(client.indices.get_settings(index=index, name="index.blocks.*").body)


def test_limits_of_the_disk_are_absolute(client):
    found = client.cluster.get_settings(include_defaults=True, flat_settings=True)["defaults"]
    assert found["cluster.routing.allocation.disk.threshold_enabled"] == "true"
    assert {name: found[name] for name in DISK} == DISK


def test_a_full_disk_blocks_writes_alone_says_so_and_ends_by_itself(client, node, monkeypatch):
    """The disk is made full by limits above its size; so it is for Elasticsearch."""
    client.indices.create(index="before", settings={"number_of_replicas": 0})
    client.index(index="before", id="1", document={"a": 1}, refresh=True)
    client.cluster.put_settings(persistent=dict.fromkeys((LOW, HIGH, FLOOD), "900tb"))
    until(lambda: is_blocked(client, "before"))
    client.indices.create(
        index="after", settings={"number_of_replicas": 0}, wait_for_active_shards=0, timeout="1s", master_timeout="5s"
    )

    found = cluster_health(client)
    assert found.status == "red"
    assert found.reasons[0].startswith(FULL)
    assert any("Not written to because the disk is full: " in reason and "before" in reason for reason in found.reasons)
    assert any(reason.startswith("after is red") and "Make room" in reason for reason in found.reasons)
    assert client.count(index="before")["count"] == 1

    monkeypatch.setattr(verbs, "settings", lambda: node)
    assert "only reads and deletes. Make room there" in CliRunner().invoke(app, ["es", "status"]).stdout
    told = json.loads(CliRunner().invoke(app, ["es", "status", "--json"]).stdout)
    assert (told["status"], told["reasons"][0]) == ("red", found.reasons[0])

    client.cluster.put_settings(persistent=dict.fromkeys((LOW, HIGH, FLOOD)))
    until(lambda: not is_blocked(client, "before"))
    client.index(index="before", id="2", document={"a": 1})
    until(lambda: cluster_health(client).status == "green")
    assert not cluster_health(client).reasons


def test_a_damaged_index_is_named_and_the_node_is_up_soon(client, node, home):
    client.indices.create(index="torn", settings={"number_of_replicas": 0})
    client.index(index="torn", id="1", document={"a": 1}, refresh=True)
    uuid = client.indices.get(index="torn")["torn"]["settings"]["index"]["uuid"]
    data = up(node, home=home).data
    down(node)
    for segments in (data / "indices" / uuid / "0" / "index").glob("segments_*"):
        segments.write_bytes(b"torn")
    started = time.monotonic()
    up(node, kind="local", home=home)
    assert time.monotonic() - started < 110  # it used to wait for two minutes for what cannot come
    with connect(node)[0] as again:
        found = cluster_health(again)
        assert found.status == "red"
        assert any(reason.startswith("torn is red") and "Restore a snapshot" in reason for reason in found.reasons)
        again.indices.delete(index="torn")
