"""docker-compose.yml and the Dockerfile, checked without an engine: shape, health gates, and commands that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from cli.main import app
from core.analysis import segment_synonyms
from core.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_schema():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, ROOT / "docker-compose.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_services():
    assert {"elasticsearch", "kibana", "api", "index"} <= set(SERVICES)
    assert SERVICES["index"]["restart"] == "no"
    environment = SERVICES["elasticsearch"]["environment"]
    assert environment["xpack.license.self_generated.type"] == "basic"


def test_everything_waits_for_a_healthy_elasticsearch():
    assert "healthcheck" in SERVICES["elasticsearch"]
    for name in ("api", "index", "kibana-password"):
        assert SERVICES[name]["depends_on"]["elasticsearch"] == {"condition": "service_healthy"}
    assert SERVICES["kibana"]["depends_on"]["kibana-password"]["condition"] == "service_completed_successfully"


def test_the_dashboard_is_imported_once_kibana_is_healthy():
    assert SERVICES["elasticsearch"]["image"].split(":")[1] == SERVICES["kibana"]["image"].split(":")[1]
    once = SERVICES["kibana-import"]
    assert once["restart"] == "no"
    assert once["depends_on"] == {"kibana": {"condition": "service_healthy"}}
    port = SERVICES["kibana"]["ports"][0].rpartition(":")[2]
    assert once["environment"]["BOTHWAYS_KIBANA_URL"] == f"http://kibana:{port}"
    assert {"BOTHWAYS_ES_USER", "BOTHWAYS_ES_PASSWORD"} <= once["environment"].keys()


def test_the_synonyms_file_is_mounted_where_the_mapping_looks():
    mapping = json.loads((ROOT / "es_mappings" / "chunks.json").read_text(encoding="utf-8"))
    path = mapping["settings"]["analysis"]["filter"]["bothways_synonyms"]["synonyms_path"]
    folder, name = path.split("/")
    (mount,) = [volume for volume in SERVICES["elasticsearch"]["volumes"] if "synonyms" in volume]
    source, target, mode = mount.split(":")
    assert (target, mode) == (f"/usr/share/elasticsearch/config/{folder}", "ro")
    assert source in COMPOSE["volumes"]
    for service in ("api", "index"):
        (writable,) = [volume for volume in SERVICES[service]["volumes"] if volume.startswith(f"{source}:")]
        assert SERVICES[service]["environment"]["BOTHWAYS_SYNONYMS_PATH"] == f"{writable.split(':')[1]}/{name}"
        assert f"{writable.split(':')[1]}/{name}" in DOCKERFILE, "a new volume takes the image's rules"


def test_ports_are_published_on_loopback_only():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_passwords_come_from_the_environment():
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert re.findall(r"PASSWORD: (?!\$\{)\S+", text) == []


def test_settings_exist():
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            if name.startswith("BOTHWAYS_"):
                assert name.removeprefix("BOTHWAYS_").lower() in Settings.model_fields


@pytest.mark.parametrize("name", ["api", "index", "kibana-import"])
def test_commands_are_verbs_with_options_that_exist(name):
    verb, *rest = SERVICES[name]["command"]
    command = typer.main.get_command(app).commands[verb]
    if hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_dockerfile():
    copied = set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "manual"}
    assert copied == rooms | {"es_mappings"}
    assert "USER bothways" in DOCKERFILE
    assert "VOLUME /cache" in DOCKERFILE
    assert 'ENTRYPOINT ["bothways"]' in DOCKERFILE


def test_the_mounted_synonyms_are_cut_as_the_index_is(segmenter):
    rules = (ROOT / "es_mappings" / "synonyms.txt").read_text(encoding="utf-8")
    assert segment_synonyms(rules, segmenter) == rules
