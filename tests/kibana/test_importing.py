"""Importing, against a server that checks what the API documents."""

from __future__ import annotations

import json

import pytest

from bothways.core.errors import KibanaError, UsageError
from bothways.kibana.dashboard import saved_objects
from bothways.kibana.importing import Kibana, Refused, import_address
from bothways.kibana.saved_objects import to_ndjson
from tests.kibana.kibana_server import KibanaServer
from tests.run_node import free_port

NDJSON = to_ndjson(saved_objects())


@pytest.fixture
def serve():
    servers = []

    def started(**options):
        servers.append(KibanaServer(**options))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def test_all_objects_arrive_and_arrive_again(serve):
    server = serve()
    for _ in range(2):
        result = Kibana(url=server.url).import_objects(NDJSON, overwrite=True)
        assert (result.taken, result.refused) == (5, [])
    assert list(server.objects["default"].values()) == [json.loads(line) for line in NDJSON.splitlines()]
    path, headers = server.requests[0]
    assert path == "/api/saved_objects/_import?overwrite=true"
    assert headers["kbn-xsrf"]
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert "authorization" not in headers


def test_without_overwriting_conflicts_are_told(serve):
    server = serve()
    kibana = Kibana(url=server.url)
    kibana.import_objects(NDJSON, overwrite=True)
    result = kibana.import_objects(NDJSON, overwrite=False)
    assert result.taken == 0
    conflict = Refused("dashboard", "bothways-dashboard", "it is there already: import it with --overwrite")
    assert result.refused[-1] == conflict
    assert len(result.refused) == 5


def test_an_object_that_refers_to_nothing_is_told(serve):
    only_the_dashboard = NDJSON.splitlines()[-1]
    (refused,) = Kibana(url=serve().url).import_objects(only_the_dashboard, overwrite=True).refused
    assert (refused.type, refused.id) == ("dashboard", "bothways-dashboard")
    assert refused.reason.startswith("it refers to what is not there: ")
    assert "index-pattern/bothways-feedback" in refused.reason
    assert "search/bothways-failed-jobs" in refused.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"type": "unsupported_type"}, "this Kibana has no such type: is it 8.19 or newer?"),
        ({"type": "ambiguous_conflict", "destinations": []}, "several objects there could be meant"),
        ({"type": "unknown", "message": "belongs to a more recent version", "statusCode": 422}, "belongs to a more"),
        ({"type": "something_new"}, "something_new"),
        ({}, "no reason was given"),
    ],
)
def test_every_kind_of_error_is_told(serve, error, reason):
    server = serve()
    told = {"success": False, "successCount": 4, "errors": [{"type": "search", "id": "x", "error": error}]}
    server.answer = 200, told, {}
    result = Kibana(url=server.url).import_objects(NDJSON, overwrite=True)
    (refused,) = result.refused
    assert result.taken == 4
    assert refused.reason.startswith(reason)


def test_spaces_and_base_paths(serve):
    server = serve(spaces=("default", "search-team"), base="/kibana")
    assert Kibana(url=server.url + "/").import_objects(NDJSON, overwrite=True, space="search-team").taken == 5
    assert (len(server.objects["search-team"]), len(server.objects["default"])) == (5, 0)
    with pytest.raises(KibanaError, match=r"HTTP 404\. Not Found\. There is no such address"):
        Kibana(url=server.url).import_objects(NDJSON, overwrite=True, space="none")


@pytest.mark.parametrize(
    ("login", "options"),
    [
        ("ApiKey c2VjcmV0", {"api_key": "c2VjcmV0"}),
        ("ApiKey c2VjcmV0", {"api_key": "c2VjcmV0", "user": "elastic", "password": "x"}),
        ("Basic ZWxhc3RpYzpnZWhlaW0=", {"user": "elastic", "password": "geheim"}),
    ],
)
def test_logins(serve, login, options):
    server = serve(login=login)
    assert Kibana(url=server.url, **options).import_objects(NDJSON, overwrite=True).taken == 5
    with pytest.raises(KibanaError, match=r"HTTP 401\..*unable to authenticate.*BOTHWAYS_KIBANA_API_KEY") as caught:
        Kibana(url=server.url, user="elastic", password="wrong-one").import_objects(NDJSON, overwrite=True)
    assert "wrong-one" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((503, b"Kibana server is not ready yet", {}), "HTTP 503. It is not ready yet; try again in a minute."),
        ((302, b"", {"location": "/login?next=%2F"}), r"HTTP 302. It sends elsewhere \(/login"),
        (
            (403, {"message": "Unable to bulk_create dashboard"}, {}),
            r"Unable to bulk_create dashboard\. This key or user",
        ),
        ((200, b"<html>", {}), "HTTP 200. What answered is no Kibana."),
        ((200, [1], {}), "What answered is no Kibana."),
        ((400, {"message": "Invalid file extension"}, {}), "HTTP 400. Invalid file extension"),
        ((500, {"message": {"odd": 1}}, {}), "HTTP 500."),
    ],
)
def test_what_else_may_answer(serve, answer, message):
    server = serve()
    server.answer = answer
    with pytest.raises(KibanaError, match=message):
        Kibana(url=server.url).import_objects(NDJSON, overwrite=True)


def test_nobody_there():
    with pytest.raises(KibanaError, match=r"cannot be reached at http://127\.0\.0\.1:.*BOTHWAYS_KIBANA_URL") as caught:
        Kibana(url=f"http://user:geheim@127.0.0.1:{free_port()}").import_objects(NDJSON, overwrite=True)
    assert "geheim" not in str(caught.value)


def test_addresses():
    assert import_address("http://a:5601") == "http://a:5601/api/saved_objects/_import"
    assert import_address("https://a/kibana/", "team_1") == "https://a/kibana/s/team_1/api/saved_objects/_import"
    assert import_address("http://a", "default") == "http://a/api/saved_objects/_import"
    for url in ("a:5601", "ftp://a", "http://", "http://a/?x=1", "http://[::1"):
        with pytest.raises(UsageError, match="no address"):
            import_address(url)
    for space in ("../x", "A", "a/b", "a b"):
        with pytest.raises(UsageError, match="is no space"):
            import_address("http://a", space)


def test_the_command_line(serve, run, tmp_path):
    server = serve(login="ApiKey c2VjcmV0")
    address = {"BOTHWAYS_KIBANA_URL": server.url, "BOTHWAYS_KIBANA_API_KEY": "c2VjcmV0"}
    code, printed, said = run("kibana", **address)
    assert (code, said) == (0, "")
    assert printed == f"5 objects are in Kibana at {server.url}: see the dashboard “Bothways”.\n"
    code, printed, said = run("kibana", "--no-overwrite", "--json", **address)
    assert code == 1
    assert json.loads(printed)["taken"] == 0
    assert said.splitlines()[0] == "index-pattern/bothways-chunks: it is there already: import it with --overwrite"
    assert said.splitlines()[-1] == "bothways: Kibana refused 5 of 5 objects."
    assert run("kibana", "--url", "nowhere")[0] == 2
    assert run("kibana", "--out", "-") == (0, NDJSON, "")
    code, printed, said = run("kibana", "--out", tmp_path / "b.ndjson")
    assert (code, printed) == (0, "")
    assert (tmp_path / "b.ndjson").read_text("utf-8") == NDJSON
