"""The OpenAPI description against the server: schemathesis makes requests of it, good and bad ones, and follows links.

What it makes is the same in every run. It lists, changes and deletes whatever it finds, so it has an Elasticsearch of
its own within the shared one (tests/isolated.py).
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
import schemathesis
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from tests.api_server import ApiServer
from tests.fakes import FixedWriter, make_parts
from tests.isolated import isolated
from tests.serving import DOCUMENTS

pytestmark = pytest.mark.elasticsearch

KEY = "the-key-of-a-test-for-all-of-it"
NAME = "handbook"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
    "negative_data_rejection",
    "missing_required_header",
]
NOT_ASKED = {
    # What is valid in a question, a name or a job's state is more than a schema can say.
    "positive_data_acceptance": {"enabled": False},
    # Needs two users of one rank; who sees what is tested in test_access.py and test_side_channels.py.
    "object_level_authorization": {"enabled": False},
}
FEWEST_CASES = 2000


@pytest.fixture(scope="module")
def server(es_settings, segmenter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    lines = [json.dumps(one, ensure_ascii=False) for one in DOCUMENTS]
    (folder / "c.jsonl").write_text("\n".join(lines), "utf-8")
    with isolated(es_settings) as es:
        index_path(
            folder,
            JobOptions(collection=NAME),
            make_parts(es, segmenter, writer=FixedWriter()),
        )
        started = ApiServer(es, segmenter, cache_dir=tmp_path_factory.mktemp("cache"), api_keys=KEY, log_level="error")
        started.app.state.wrong_keys.delay_of = lambda address: 0.0  # of thousands of wrong keys here
        yield started
        started.close()


def configured(url):
    return schemathesis.Config.from_dict(
        {
            "seed": 1,
            "base-url": url,
            "workers": 1,
            "request-timeout": 30,
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "auth": {"openapi": {"bearer": {"bearer": KEY}}},
            "generation": {"deterministic": True, "max-examples": 10, "database": "none"},
            "phases": {"stateful": {"max-steps": 6}},
            "checks": NOT_ASKED,
        }
    )


def failures_of(event):
    """Give what a scenario found: the check, the operation, what is wrong, and a command that shows it."""
    for checks in event.recorder.checks.values():
        for check in checks:
            if (found := check.failure_info) is not None:
                failure = found.failure
                yield (check.name, failure.operation, failure.title), f"{failure.message[:500]}\n{found.code_sample}"


def test_the_description_is_true(server):
    schema = schemathesis.openapi.from_dict(server.app.openapi(), config=configured(server.url))
    found, checked, cases = {}, Counter(), Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, NonFatalError | FatalError):
            found["error", str(event.__dict__), ""] = ""
        elif isinstance(event, ScenarioFinished):
            cases[str(event.phase)] += len(event.recorder.interactions)
            checked.update(check.name for checks in event.recorder.checks.values() for check in checks)
            for what, how in failures_of(event):
                found.setdefault(what, how)
    assert not found, "\n\n".join(f"{' | '.join(map(str, what))}\n{how}" for what, how in found.items())
    assert set(CHECKS) <= checked.keys()
    assert sum(cases.values()) >= FEWEST_CASES, cases
    assert cases["stateful"] >= 30
