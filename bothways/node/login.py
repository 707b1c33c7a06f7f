"""The password of the node: made once, kept beside its data, readable only for the user who started the node.

Elasticsearch gets only its hash, in the two files of its `file` realm. So no tool has to be run, and the password is in
no command line, environment or log.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from bothways.core.errors import NodeError
from bothways.core.machine.private_files import write_private

USER = "bothways"
ROLES = ("superuser", "kibana_system")
"""`kibana_system` because Kibana does not start with a mere superuser."""

_ROUNDS = 10_000
"""Of PBKDF2, as Elasticsearch has it by default; 192 random bits need no slow hash."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user of Elasticsearch; the password is not shown."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.user!r}, ***)"


def password_file(node: Path) -> Path:
    """Return the file of a node's password, beside its data."""
    return node / "password"


def ensure_login(node: Path, config: Path, *, container: bool) -> Path:
    """Return the password file; if it is missing, or Elasticsearch has no hash of it, both are made.

    A running node takes the new files within 5 s. `container`: the hash has to be readable for the container's user.
    """
    path = password_file(node)
    users = config / "users"
    password = read_password(path)
    if password is None or not _fits(users, password):
        password = password or secrets.token_urlsafe(24)
        write_private(path, password + "\n")
        mode = 0o644 if container else 0o600
        lines = {users: f"{USER}:{hashed(password)}\n", config / "users_roles": "".join(f"{r}:{USER}\n" for r in ROLES)}
        for file, text in lines.items():
            file.touch(mode=mode)  # not replaced: a container has this very file mounted
            file.chmod(mode)
            file.write_text(text, encoding="utf-8")
    return path


def read_password(path: Path) -> str | None:
    """Read a password file; return None if it is missing or empty."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"The password of the local Elasticsearch cannot be read: {error}.") from error


def read_login(user: str, path: Path) -> Login:
    """Read the login of a node; raise `NodeError` with what to do if the password file is gone."""
    if password := read_password(path):
        return Login(user, password)
    raise NodeError(f"The password of the local Elasticsearch is gone ({path}): `bothways es up` makes a new one.")


def hashed(password: str, salt: bytes | None = None) -> str:
    """Hash a password in Elasticsearch's form of PBKDF2: `{PBKDF2}rounds$salt$hash`, HMAC-SHA-512, 256 bits."""
    salt = salt or secrets.token_bytes(32)
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS, 32)
    return f"{{PBKDF2}}{_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


def _fits(users: Path, password: str) -> bool:
    """Return whether Elasticsearch has the hash of this password."""
    try:
        user, _, known = users.read_text(encoding="utf-8").strip().partition(":")
        salt = base64.b64decode(known.split("$")[1])
    except (OSError, ValueError, IndexError):
        return False
    return user == USER and secrets.compare_digest(known, hashed(password, salt))
