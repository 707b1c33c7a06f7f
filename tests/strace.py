"""strace, by which a test sees what every thread of a process writes and connects to; `python -m tests.strace` gets it.

Threads of C libraries pass all hooks of Python by, so that nothing less shows what they do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MISSING = "This test needs strace: `apt-get install strace`."
_CALLS = "trace=open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,connect,sendto"
_OPEN = re.compile(r'(?:open|openat|creat|mkdir|mkdirat)\((?:[^",]*?(?:<([^>]*)>)?, )?"([^"]*)"(.*)')
_ANY_PATH = re.compile(r'(?:rename|link|symlink)\w*\(.*?"([^"]*)"\)?.* = 0')
_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?"([0-9a-fA-F.:]+)"')


def install():
    """Install it by apt as root; tells whether it is there now."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "strace"]):
            if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
                break
    return shutil.which("strace") is not None


def traced(command, log, **options):
    """Run a command to its end; give what it printed, the paths it wrote to, and the addresses it spoke to."""
    assert shutil.which("strace") or install(), MISSING
    told = subprocess.run(
        ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", _CALLS, "-o", log, "--", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    lines = Path(log).read_text("utf-8", "replace").splitlines()
    return told, {path for line in lines for path in _written(line)}, {at for line in lines for at in _spoken_to(line)}


def _written(line):
    if (found := _OPEN.search(line)) and " = -1 " not in line:
        folder, path, rest = found.groups()
        if "open" not in found[0].partition("(")[0] or re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest):
            yield os.path.normpath(Path(folder or "/") / path)
    elif found := _ANY_PATH.search(line):
        yield os.path.normpath(found[1])


def _spoken_to(line):
    for port, address in _ADDRESS.findall(line):
        yield address, int(port)


if __name__ == "__main__" and not shutil.which("strace") and not install():
    # No error of `make test`: all other tests run, and the one that needs it says it again.
    sys.stderr.write(f"{MISSING}\n")
