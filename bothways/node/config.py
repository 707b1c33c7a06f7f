"""What Elasticsearch reads at its start: a copy of the distribution's config folder with our settings in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bothways.core.machine.private_files import FILE, FOLDER, write_private
from bothways.core.synonyms import APPLIED
from bothways.node.place import Account, give_to, make_folder

SYNONYMS = "analysis/bothways_synonyms.txt"
"""The synonyms file, relative to the config folder: what an index's `synonyms_path` says."""

_OPTIONAL = {"xpack.ml.enabled": "x-pack-ml", "ingest.geoip.downloader.enabled": "ingest-geoip"}
"""Switched off if the module exists; without the module, Elasticsearch would refuse the setting."""


_WATERMARK = "cluster.routing.allocation.disk.watermark"
DISK: dict[str, str] = {
    f"{_WATERMARK}.low": "1200mb",
    f"{_WATERMARK}.high": "1100mb",
    f"{_WATERMARK}.flood_stage": "1gb",
    "cluster.info.update.interval": "10s",
}
"""When Elasticsearch stops writing: with less than 1 GB free, in place of 5 % free.

A percentage would stop a 500 GB disk that has room for years of this at 25 GB. Without a limit the disk fills to the
last byte, and Elasticsearch gives up the indexes that it could not write (status red). `high` is close above
`flood_stage` because between the two no new index can be made; writing resumes above `high`. Every 10 s, in place of
30, because indexing writes some 20 MB/s and merges several times that.
"""


SECURITY: dict[str, bool] = {
    "xpack.security.enabled": True,
    "xpack.security.enrollment.enabled": False,
    "xpack.security.http.ssl.enabled": False,
    "xpack.security.transport.ssl.enabled": False,
}
"""The password keeps out everybody else, even web pages that reach loopback (DNS rebinding). No TLS: only users who can
read the password file can read the traffic on loopback."""


def node_settings(home: Path, node: Path, port: int) -> dict[str, str | int | bool]:
    """Return the settings of elasticsearch.yml."""
    settings: dict[str, str | int | bool] = {
        "cluster.name": "bothways",
        "node.name": "bothways",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": port,
        "transport.port": 0,
        "path.data": str(node / "data"),
        "path.logs": str(node / "logs"),
        "action.destructive_requires_name": True,
    }
    settings.update(DISK)
    settings.update(SECURITY)
    return settings | {name: False for name, module in _OPTIONAL.items() if (home / "modules" / module).is_dir()}


def write_config(home: Path, node: Path, *, port: int, heap: str, account: Account | None) -> Path:
    """Write the config folder and make the data, log and temporary folders, readable only for the node's user."""
    config = make_folder(node / "config", FOLDER)
    shutil.copytree(home / "config", config, dirs_exist_ok=True, copy_function=shutil.copyfile)
    settings = node_settings(home, node, port)
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in settings.items()]
    (config / "elasticsearch.yml").write_text("".join(lines), encoding="utf-8")
    options = make_folder(config / "jvm.options.d", FOLDER) / "bothways.options"
    options.write_text(f"-Xms{heap}\n-Xmx{heap}\n", encoding="utf-8")
    for path in (config, *config.rglob("*")):
        path.chmod(FOLDER if path.is_dir() else FILE)
    for folder in ("data", "logs", "tmp"):
        give_to(account, make_folder(node / folder, FOLDER))
    give_to(account, config)
    return config


def install_synonyms(config: Path, rules: str, *, keep_applied: bool = False, container: bool = False) -> Path:
    """Write the synonyms where the node reads them, atomically; a running node takes them when it reloads.

    With `keep_applied`, a file that `bothways synonyms apply` wrote stays as it is. `container`: folder and file are
    readable to all, since they are mounted into a container that runs as a user of its own; the folder above is not.
    """
    path = config / SYNONYMS
    make_folder(path.parent, FOLDER)
    if not (keep_applied and path.is_file() and path.read_bytes().startswith(APPLIED.encode())):
        write_private(path, rules if rules.strip() else "# no synonyms\n")
    path.parent.chmod(0o755 if container else FOLDER)
    path.chmod(0o644 if container else FILE)
    return path
