"""The processes of a local node: started detached, watched until they answer, ended together."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import structlog

from bothways.core.errors import NodeError
from bothways.core.machine.private_files import open_private
from bothways.node.login import Login
from bothways.node.place import Account
from bothways.node.state import family

START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 30.0
RED_S = 15.0
"""Seconds after which a red node that opens no index will not recover by itself."""
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "ES_JAVA_OPTS", "CLI_JAVA_OPTS")
_GOOD = ("yellow", "green")
_KNOWN = (*_GOOD, "red")
_REFUSED = 401
_SAYS_NOTHING = re.compile(
    r"\s*(at |(error|output):$|.*starting java failed|ERROR: Elasticsearch did not exit normally|Elasticsearch died)"
)
"""Lines around the one with the reason of a failed start."""

_started: list[subprocess.Popen[bytes]] = []
"""Kept because Python warns of processes that outlive their object; these are meant to run on."""

log = structlog.get_logger(__name__)


def check_port(port: int) -> None:
    """Raise `NodeError`, naming the program that has it, unless the port of 127.0.0.1 is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise NodeError(f"Port {port} may not be used: set BOTHWAYS_ES_PORT to one above 1023.") from error
        except OSError as error:
            raise NodeError(_taken(port)) from error


def launch(home: Path, jdk: Path, node: Path, *, account: Account | None) -> subprocess.Popen[bytes]:
    """Start Elasticsearch in a session of its own, as `account`, with its output in the node's console log."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "ES_JAVA_HOME": str(jdk),
        "ES_PATH_CONF": str(node / "config"),
        "ES_TMPDIR": str(node / "tmp"),
        "HOSTNAME": "bothways",
    }
    if " " not in str(node):  # the script splits these options at blanks
        own = f"-Djava.io.tmpdir={node / 'tmp'}"
        environment["CLI_JAVA_OPTS"] = f"{own} {environment.get('CLI_JAVA_OPTS', '')}".strip()
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    with open_private(console_log(node), "wb") as output:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
            [str(home / "bin/elasticsearch")],
            env=environment,
            cwd=node,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            **identity,
        )
    _started.append(process)
    return process


def console_log(node: Path) -> Path:
    """Return the file that holds what the node printed since its last start."""
    return node / "logs" / "console.log"


def wait_until_ready(
    url: str, check: Callable[[], None], *, login: Login | None = None, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Wait until the node answers and its indexes can be searched.

    `check` is called meanwhile and raises if waiting is useless. A node that answers but stays red, and opens no index
    any more, gets a warning: an index is damaged, not the node.
    """
    health, deadline = None, time.monotonic() + timeout_s
    idle_since: float | None = None
    while time.monotonic() < deadline:
        check()
        health = ask(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s", login)
        if health and health.get("status") in _GOOD:
            return
        idle_since = (idle_since or time.monotonic()) if _is_idle(health) else None
        if idle_since and time.monotonic() - idle_since >= RED_S:
            break
        time.sleep(0.3)
    if health and health.get("status") == _REFUSED:
        raise NodeError(f"Elasticsearch at {url} refuses its own password: stop it with `bothways es down`, try again.")
    if not health or "status" not in health:
        raise NodeError(f"Elasticsearch at {url} did not answer within {timeout_s:.0f} s.")
    log.warning(
        "the node is up, but not all of its indexes are: `bothways es status` says why",
        status=health["status"],
        url=url,
    )


def _is_idle(health: dict[str, Any] | None) -> bool:
    """Return whether a node answers and opens no index at the moment."""
    if not health or health.get("status") not in _KNOWN:
        return False
    return not health.get("initializing_shards") and not health.get("number_of_pending_tasks")


def ask(url: str, login: Login | None = None) -> dict[str, Any] | None:
    """Return the JSON object behind a loopback address, with any HTTP status; None if there is none."""
    auth = httpx.BasicAuth(login.user, login.password) if login else None
    try:
        with httpx.Client(trust_env=False, timeout=5.0, auth=auth) as client:
            answer = client.get(url).json()
    except (httpx.HTTPError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def why_it_died(log_file: Path, code: int | None) -> str:
    """Return a sentence on why a node ended at its start: with the last error in its log, else its last line."""
    lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines() if log_file.is_file() else []
    printed = [line.strip() for line in lines if line.strip() and not _SAYS_NOTHING.match(line)]
    errors = [line for line in printed if re.search(r"\b(ERROR|FATAL)\b|Exception|rror:", line)]
    reason = re.sub(r"^(\[[^\]]*\]\s*)+", "", (errors or printed or ["it printed nothing"])[-1])[:400]
    return f"Elasticsearch ended while starting (exit code {code}): {reason}. Its log: {log_file}"


def stop(processes: Sequence[psutil.Process], *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Stop processes and their children: terminate first, then kill."""
    everyone = list({process: None for one in processes for process in family(one.pid)} | dict.fromkeys(processes))
    _each(everyone, psutil.Process.terminate)
    _, left = psutil.wait_procs(everyone, timeout=timeout_s)
    if left:
        log.warning("Elasticsearch did not end when asked and is killed", seconds=timeout_s)
        _each(left, psutil.Process.kill)
        psutil.wait_procs(left, timeout=5)
    for process in _started:
        process.poll()


def _each(processes: Sequence[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            act(process)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise NodeError(
                f"Elasticsearch (process {process.pid}) belongs to another user: stop it as the user that started it."
            ) from error


def _taken(port: int) -> str:
    answer = ask(f"http://127.0.0.1:{port}/") or {}
    version = answer.get("version")
    if isinstance(version, dict) and "number" in version:
        cluster = answer.get("cluster_name")
        who = f"an Elasticsearch {version['number']} (cluster {cluster}) that was not started from this cache folder"
        hint = f", or BOTHWAYS_ES_URL=http://127.0.0.1:{port} to use that Elasticsearch"
    elif isinstance(answer.get("error"), dict):
        who, hint = (
            "an Elasticsearch with a password that was not started from this cache folder",
            f", or to use that one BOTHWAYS_ES_URL=http://127.0.0.1:{port}, BOTHWAYS_ES_USER and BOTHWAYS_ES_PASSWORD",
        )
    else:
        who, hint = "another program", ""
    return f"Port {port} is taken by {who}: set BOTHWAYS_ES_PORT to a free port{hint}."
