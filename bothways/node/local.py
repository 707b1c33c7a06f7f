"""`up`, `down`, `status`: one node for each cache folder; later programs find it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import structlog
from filelock import FileLock, Timeout

from bothways.core.errors import NodeError
from bothways.core.machine.private_files import FILE, FOLDER
from bothways.core.settings import Settings
from bothways.core.synonyms import read_synonyms
from bothways.node import docker
from bothways.node.config import install_synonyms, write_config
from bothways.node.data_lock import require_unused
from bothways.node.distribution.fetch import VERSION, check_home, distribution_version, fetch_distribution
from bothways.node.distribution.jdk import bundled_jdk, find_jdk
from bothways.node.distribution.progress import ShowProgress, show_progress
from bothways.node.login import USER, Login, ensure_login, password_file, read_login
from bothways.node.place import Place, find_place, give_to, make_folder
from bothways.node.process import check_port, console_log, launch, stop, wait_until_ready, why_it_died
from bothways.node.state import NodeInfo, family, forget_state, living, read_state, started_times, write_state

Kind = Literal["local", "docker"]
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
"""Names of the node's address."""

_LOCK_TIMEOUT_S = 2400.0
"""Longer than the longest `up` of another program, its download included."""

log = structlog.get_logger(__name__)


def up(
    settings: Settings,
    *,
    prepare: Callable[[str], str] = str,
    progress: ShowProgress = show_progress,
    kind: Kind | None = None,
    home: Path | None = None,
) -> NodeInfo:
    """Return a running node: the one that runs already, else a new one that has begun to answer.

    Without a `kind` Docker is used if an engine runs, else, or if Docker fails, a local node.
    `prepare` makes the rules that the node reads from the synonyms file as people wrote it (`str` leaves them so).
    `home` is a distribution to use instead of `ES_HOME` or the fetched one.
    `BOTHWAYS_ES_URL` is ignored: users who set it need no node.
    """
    rules = prepare(read_synonyms(settings))
    with _alone(settings.cache_dir) as state:
        running = status(settings)
        if running and running.user:
            login = _install(running, settings, rules)
            wait_until_ready(running.url, lambda: _check_alive(running), login=login)
            return _remember(running, state)
        if running:
            log.warning("the node of an earlier version has no password: it is started again with one, data and all")
            _end(running)
            kind, home = running.kind, home or running.home
            settings = settings.model_copy(update={"es_port": running.port})
        forget_state(state)
        check_port(settings.es_port)
        if kind == "docker" or (kind is None and docker.docker_available()):
            try:
                return _up_docker(settings, rules)
            except NodeError as error:
                if kind == "docker":
                    raise
                log.warning("Docker cannot start Elasticsearch, so a local node is tried", reason=str(error))
        return _up_local(settings, rules, progress, home)


def down(settings: Settings) -> bool:
    """Stop the node that was started here, and no other program; return whether there was one."""
    if read_state(settings.cache_dir / "node") is None:
        return False
    with _alone(settings.cache_dir) as state:
        info = status(settings)
        if info is not None:
            _end(info)
        forget_state(state)
        return info is not None


def purge(settings: Settings) -> bool:
    """Stop the node and remove its config, logs, data and password; the fetched distribution stays.

    Raise `NodeError` if another Elasticsearch still uses the data.
    """
    info = read_state(settings.cache_dir / "node")
    stopped = down(settings)
    if info is not None and info.container:
        docker.remove_data(info.container)
    node = find_place(settings.cache_dir).node
    require_unused(node / "data")
    for folder in ("config", "data", "logs", "tmp"):
        shutil.rmtree(node / folder, ignore_errors=True)
    password_file(node).unlink(missing_ok=True)
    return stopped


def status(settings: Settings) -> NodeInfo | None:
    """Return the node that was started here; None if it no longer runs."""
    info = read_state(settings.cache_dir / "node")
    return info if info is not None and _alive(info) else None


def resolve_url(settings: Settings) -> str | None:
    """Return the address of the Elasticsearch to use: `BOTHWAYS_ES_URL`, else the node that was started here."""
    if settings.es_url:
        return settings.es_url
    info = status(settings)
    return info.url if info else None


def find_login(settings: Settings, url: str) -> Login | None:
    """Return the login of the node that was started here if `url` is its address; None for other servers.

    Scripts may name that address (`BOTHWAYS_ES_URL`). Raise `NodeError` with what to do if the password file is gone
    or cannot be read.
    """
    if urlsplit(url).hostname not in LOOPBACK:
        return None
    info = status(settings)
    if info is None or not is_at(info, url) or not info.user or not info.password_file:
        return None
    return read_login(info.user, info.password_file)


def is_at(info: NodeInfo, url: str) -> bool:
    """Return whether an address is this node's."""
    said = urlsplit(url)
    return said.scheme == "http" and said.hostname in LOOPBACK and (said.port or 9200) == info.port


@contextmanager
def _alone(cache_dir: Path) -> Iterator[Path]:
    """Yield the folder of the state; meanwhile no other program starts or stops this node."""
    state = cache_dir / "node"
    try:
        make_folder(state, find_place(cache_dir).mode)
        lock = FileLock(state / ".lock", timeout=_LOCK_TIMEOUT_S, mode=FILE)
        lock.acquire()
    except Timeout as error:
        raise NodeError(f"Another program has been starting or stopping the node for too long: {state}.") from error
    except OSError as error:
        raise NodeError(f"{state} cannot be written ({error}): set BOTHWAYS_CACHE_DIR to another folder.") from error
    try:
        yield state
    finally:
        lock.release()


def _alive(info: NodeInfo) -> bool:
    return docker.is_running(info.container) if info.container else bool(living(info.processes))


def _end(info: NodeInfo) -> None:
    if info.container:
        docker.stop_container(info.container)
    else:
        stop(living(info.processes))


def _check_alive(info: NodeInfo) -> None:
    if _alive(info):
        return
    if info.container:
        raise NodeError(f"The container {info.container} ended while starting: {docker.last_words(info.container)}")
    raise NodeError(why_it_died(info.logs, None))


def _install(info: NodeInfo, settings: Settings, rules: str) -> Login:
    """Install the rules and the login of a running node, a new login if it is lost; return the login."""
    place = find_place(settings.cache_dir)
    container = info.container is not None
    login = _install_into(info.config, place, settings, rules, container=container)
    return read_login(USER, login)


def _install_into(config: Path, place: Place, settings: Settings, rules: str, *, container: bool) -> Path:
    """Install the rules and the login into the config folder; return the password file.

    Rules that `bothways synonyms apply` wrote are kept, unless the settings name a file of rules.
    """
    install_synonyms(config, rules, keep_applied=settings.synonyms_path is None, container=container)
    path = ensure_login(place.node, config, container=container)
    give_to(None if container else place.account, config)
    return path


def _up_docker(settings: Settings, rules: str) -> NodeInfo:
    state = settings.cache_dir / "node"
    place = find_place(settings.cache_dir)
    config = make_folder(make_folder(place.node, place.mode) / "config", FOLDER)
    login = _install_into(config, place, settings, rules, container=True)
    name = docker.start_container(port=settings.es_port, heap=settings.es_heap, config=config)
    info = NodeInfo(
        kind="docker",
        url=f"http://127.0.0.1:{settings.es_port}",
        port=settings.es_port,
        version=VERSION,
        config=config,
        data=Path(f"{name}-data"),
        logs=Path(f"docker logs {name}"),
        started_at=_now(),
        container=name,
        user=USER,
        password_file=login,
    )
    write_state(state, info)
    try:
        wait_until_ready(info.url, lambda: _check_alive(info), login=read_login(USER, login))
    except BaseException:
        docker.stop_container(name)
        forget_state(state)
        raise
    return info


def _up_local(settings: Settings, rules: str, progress: ShowProgress, home: Path | None) -> NodeInfo:
    place = find_place(settings.cache_dir)
    try:
        make_folder(place.base, place.mode, narrow=False)
        home = check_home(home) if home else fetch_distribution(place.base, progress=progress)
        jdk = bundled_jdk(home) or find_jdk(usable=lambda path: place.can_read(path / "bin/java"))
        _check_readable(place, home)
        make_folder(place.node, place.mode)
        config = write_config(home, place.node, port=settings.es_port, heap=settings.es_heap, account=place.account)
        login = _install_into(config, place, settings, rules, container=False)
        process = launch(home, jdk, place.node, account=place.account)
    except OSError as error:
        raise NodeError(f"The local Elasticsearch cannot be set up: {error}.") from error
    info = NodeInfo(
        kind="local",
        url=f"http://127.0.0.1:{settings.es_port}",
        port=settings.es_port,
        version=distribution_version(home),
        config=config,
        data=place.node / "data",
        logs=console_log(place.node),
        started_at=_now(),
        home=home,
        processes=started_times(family(process.pid)),
        user=USER,
        password_file=login,
    )

    def check() -> None:
        if (code := process.poll()) is not None:
            raise NodeError(why_it_died(info.logs, code))

    return _wait(info, place.state, process.pid, check)


def _wait(info: NodeInfo, state: Path, pid: int, check: Callable[[], None]) -> NodeInfo:
    """Wait for a launched node and remember it; a node that does not come up is stopped."""
    write_state(state, info)
    try:
        wait_until_ready(info.url, check, login=_login_of(info))
    except BaseException:
        stop(living(started_times(family(pid))))
        forget_state(state)
        raise
    return _remember(info, state)


def _login_of(info: NodeInfo) -> Login | None:
    return read_login(info.user, info.password_file) if info.user and info.password_file else None


def _remember(info: NodeInfo, state: Path) -> NodeInfo:
    """Write the state of a node with all its processes: the server is a child of the launcher."""
    if info.processes and (processes := started_times(family(info.processes[0][0]))):
        info = replace(info, processes=processes)
    write_state(state, info)
    return info


def _check_readable(place: Place, home: Path) -> None:
    if place.account and not place.can_read(home / "bin/elasticsearch"):
        raise NodeError(
            f"Elasticsearch does not run as root, and the user {place.account.name} cannot read {home}: move it, for"
            " instance below /opt, or run this command as an ordinary user."
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
