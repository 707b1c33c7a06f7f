"""Where the node's folders are, and which user runs it.

Elasticsearch refuses to run as root. If root starts it, it runs as a system user, which must reach its files: other
users cannot enter root's home, so then the files are below /var/lib and not in the cache folder. The state
(`node.json`) is always in the cache folder: it is ours, not Elasticsearch's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bothways.core.errors import NodeError
from bothways.core.machine.private_files import FOLDER, narrow_mode

USER = "bothways-es"
SYSTEM_BASE = Path("/var/lib/bothways")
PASSABLE = 0o711
"""Mode of root's folders above those of the node's user."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Return whether the user can reach the content of a folder, through all folders above it."""
        return all(self._may(path, stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH) for path in _existing(folder.resolve()))

    def can_read(self, path: Path) -> bool:
        """Return whether the user can read a file or list a folder, through all folders above it."""
        path = path.resolve()
        return self.can_enter(path.parent) and self._may(path, stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH)

    def _may(self, path: Path, owner: int, group: int, others: int) -> bool:
        info = path.stat()
        bit = owner if info.st_uid == self.uid else group if info.st_gid == self.gid else others
        return bool(info.st_mode & bit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders of one node: `state` holds node.json, `base` the distributions, `node` config, data and logs.

    `account` is the user to run as; None: the current user.
    """

    state: Path
    base: Path
    node: Path
    account: Account | None

    @property
    def mode(self) -> int:
        """The mode of the folders above Elasticsearch's own: the node's user must pass through them."""
        return PASSABLE if self.account else FOLDER

    def can_read(self, path: Path) -> bool:
        """Return whether the node's user can read a path."""
        return self.account is None or self.account.can_read(path)


def find_place(cache_dir: Path) -> Place:
    """Return the folders of a cache folder's node and the user that runs it."""
    state = cache_dir / "node"
    if not is_root():
        return Place(state=state, base=cache_dir, node=state, account=None)
    account = service_account()
    if account.can_enter(cache_dir):
        return Place(state=state, base=cache_dir, node=state, account=account)
    name = hashlib.sha1(str(cache_dir).encode(), usedforsecurity=False).hexdigest()[:8]
    return Place(state=state, base=SYSTEM_BASE, node=SYSTEM_BASE / f"node-{name}", account=account)


def is_root() -> bool:
    """Return whether this program runs as root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def service_account() -> Account:
    """Return the unprivileged user that runs the node for root; it is made if possible."""
    account = _account(USER)
    if account is None and (useradd := shutil.which("useradd")):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        shell = shutil.which("nologin") or "/bin/false"
        subprocess.run([useradd, *options, "--shell", shell, USER], capture_output=True, check=False)
        account = _account(USER)
    if account := account or _account("nobody"):
        return account
    raise NodeError(
        "Elasticsearch does not run as root and there is no other user to run it as: run this command as an ordinary"
        f" user, or add a user named {USER}."
    )


def make_folder(path: Path, mode: int, *, narrow: bool = True) -> Path:
    """Make a folder, and those above it that are missing, with this mode whatever the umask is.

    An existing one is narrowed to it, unless `narrow` is off; those above it are left as they are.
    """
    if not path.is_dir():
        make_folder(path.parent, mode, narrow=False)
        path.mkdir(exist_ok=True)
        path.chmod(mode)
    elif narrow:
        narrow_mode(path, mode)
    return path


def give_to(account: Account | None, folder: Path) -> None:
    """Make a user the owner of a folder and all in it."""
    if account is None:
        return
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_uid != account.uid:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _existing(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.parents) if path.exists()]


def _account(name: str) -> Account | None:
    import pwd  # not on every platform

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)
