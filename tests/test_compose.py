"""docker-compose.yml and the Dockerfile, checked without an engine: shape, health gates, and commands that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from bothways.cli.main import app
from bothways.core.analysis import segment_synonyms
from bothways.core.settings import SETTABLE

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
    for name in ("api", "index", "learn", "kibana-password"):
        assert SERVICES[name]["depends_on"]["elasticsearch"] == {"condition": "service_healthy"}
    assert SERVICES["kibana"]["depends_on"]["kibana-password"]["condition"] == "service_completed_successfully"


def test_kibana_reports_nothing_to_its_maker():
    environment = SERVICES["kibana"]["environment"]
    assert (environment["TELEMETRY_OPTIN"], environment["NEWSFEED_ENABLED"]) == ("false", "false")


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
    for service in ("api", "index", "learn"):
        (writable,) = [volume for volume in SERVICES[service]["volumes"] if volume.startswith(f"{source}:")]
        assert SERVICES[service]["environment"]["BOTHWAYS_SYNONYMS_PATH"] == f"{writable.split(':')[1]}/{name}"
        assert f"{writable.split(':')[1]}/{name}" in DOCKERFILE, "a new volume takes the image's rules"


def test_ports_are_published_on_loopback_only():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_stands_in_dot_env_is_passed_on_and_cannot_move_what_compose_has_set():
    for name in ("api", "index", "learn", "kibana-import"):
        assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False}]
        environment = SERVICES[name]["environment"]
        assert environment["BOTHWAYS_ES_URL"] == "http://elasticsearch:9200"
        assert environment["BOTHWAYS_CACHE_DIR"] == "/cache"
        # Otherwise the key of another cluster would be brought to this one, and Kibana's password to all.
        assert environment["BOTHWAYS_ES_API_KEY"] == environment["KIBANA_PASSWORD"] == ""


def test_servers_start_again_and_jobs_do_not():
    for name in ("elasticsearch", "kibana", "api"):
        assert SERVICES[name]["restart"] == "unless-stopped"
    for name in ("kibana-password", "kibana-import", "index", "learn"):
        assert SERVICES[name]["restart"] == "no"


def test_only_the_api_is_asked_whether_the_api_lives():
    assert "HEALTHCHECK" not in DOCKERFILE
    (port,) = SERVICES["api"]["ports"]
    assert f":{port.rpartition(':')[2]}/health/live" in SERVICES["api"]["healthcheck"]["test"][-1]
    assert not any("healthcheck" in SERVICES[name] for name in ("index", "learn", "kibana-import", "kibana-password"))


def test_the_weekly_job_can_train():
    assert SERVICES["learn"]["build"]["args"]["WITH_TORCH"] == "train"
    assert SERVICES["learn"]["image"] != SERVICES["api"]["image"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {"torch", "train"} <= extras.keys()


@pytest.mark.parametrize("password", ["plain", 'a"b', "a\\b", "a$b 'c' `d` &", '\\"'])
def test_any_password_of_kibana_becomes_json(tmp_path, password):
    script = SERVICES["kibana-password"]["command"][0].replace("$$", "$")
    (tmp_path / "curl").write_text('#!/bin/bash\nwhile [ "$1" != -d ]; do shift; done; printf %s "$2"\n', "utf-8")
    (tmp_path / "curl").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ELASTIC_PASSWORD": "x", "KIBANA_PASSWORD": password}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"password": password}


def test_dependencies_are_installed_before_the_source():
    lines = DOCKERFILE.splitlines()
    installs = [number for number, line in enumerate(lines) if "pip install" in line]
    first_source = next(number for number, line in enumerate(lines) if re.match(r"COPY (\w+) \1$", line))
    assert installs[0] < first_source < installs[-1]
    assert "--no-deps" in lines[installs[-1]]
    assert re.search(r"^ARG WITH_TORCH=$", DOCKERFILE, re.MULTILINE), "the default image has no torch"


def test_the_api_serves_without_keys_since_its_port_is_published_on_loopback_only():
    environment = SERVICES["api"]["environment"]
    assert environment["BOTHWAYS_WITHOUT_KEYS"] == "${BOTHWAYS_WITHOUT_KEYS:-true}"
    assert environment["BOTHWAYS_ALLOWED_HOSTS"] == "${BOTHWAYS_ALLOWED_HOSTS-api}"  # as http://api:8000


def test_passwords_come_from_the_environment():
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert re.findall(r'PASSWORD: (?!\$\{|""$)\S+', text, re.MULTILINE) == []


def test_settings_exist():
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            if name.startswith("BOTHWAYS_"):
                assert name.removeprefix("BOTHWAYS_").lower() in SETTABLE


@pytest.mark.parametrize("name", ["api", "index", "kibana-import", "learn"])
def test_commands_are_verbs_with_options_that_exist(name):
    verb, *rest = SERVICES[name]["command"]
    command = typer.main.get_command(app).commands[verb]
    if hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_the_weekly_job_waits_to_be_asked_and_shares_its_models_with_the_api():
    learn = SERVICES["learn"]
    assert learn["profiles"] == ["learn"]
    out = learn["command"][learn["command"].index("--out") + 1]
    (mount,) = [volume for volume in learn["volumes"] if volume.startswith("cache:")]
    assert out.startswith(mount.split(":")[1])
    assert mount in SERVICES["api"]["volumes"]


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
