"""A process that reads files for a job, seen from the job: it gets requests, is watched, and is killed if need be.

It runs indexer/read/child/worker.py. A few files are requested ahead, so that it does not wait between them.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import psutil

from bothways.core.datatypes import Failure
from bothways.core.errors import ReaderError
from bothways.indexer.read.child.frames import Event, Request, framed, take

AHEAD = 8
"""Files that are asked for at once."""
_LOOK_S = 0.1
"""How often the waiting job looks whether it is to end, and at the memory of the process."""
_START_S = 60.0
_MOST_FILES = 10_000
"""After so many files, or with half of its memory taken after a file, the process is replaced by a new one."""
_READ_BYTES = 1_000_000


class _EndedError(Exception):
    """The process has ended; the message says how."""


class Reader:
    """One process that reads files in the order in which they are asked for. For one thread at a time.

    A process that ends over a file is replaced, and goes on with the files behind it. Raises `ReaderError` where none
    can be started.
    """

    def __init__(self) -> None:
        self._outstanding: deque[tuple[Request, bytes]] = deque()
        self._start()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was asked for is outstanding."""
        return not self._outstanding and self._process.poll() is None

    @property
    def takes_more(self) -> bool:
        """Whether files may be asked for now: several at a time, since each request wakes the process."""
        return len(self._outstanding) <= AHEAD // 2

    def request(self, requests: Sequence[Request]) -> None:
        """Ask for files, behind those that were asked for before."""
        frames = [(request, framed(request)) for request in requests]
        self._outstanding.extend(frames)
        self._write(b"".join(data for _, data in frames))

    def answers(self, look: Callable[[], None]) -> Iterator[Event]:
        """Yield what is said of the file that was asked for first, as it comes, up to its end.

        `look` is called again and again while nothing comes, and raises when there is to be no more waiting.
        """
        request = self._outstanding[0][0]
        documents = 0
        try:
            while (event := self._next(look, request.memory_mb))[0] != "end":
                documents += event[0] in {"document", "chunks"}
                yield event
        except _EndedError as ended:
            yield "failure", Failure(stage="read", item=request.relative, reason=_reason(str(ended), documents))
            self._outstanding.popleft()
            self._replace()
            return
        self._outstanding.popleft()
        self._files += 1
        if self._files >= _MOST_FILES or self._rss_mb() > request.memory_mb / 2:
            self._replace()

    def close(self) -> None:
        """End the process, whatever it is at, and wait until it is gone."""
        with suppress(ProcessLookupError):
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # stuck in the kernel, as over a network drive that is away
            self._process.wait(5)
        for pipe in (self._requests, self._answers):
            with suppress(OSError):  # a request that was not taken any more
                pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def forget(self) -> None:
        """Forget the process without ending it: after a fork it belongs to the parent."""
        self._process.returncode = 0

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="bothways-read-")
        self._buffer = bytearray()
        self._is_ready = False
        self._files = 0
        self._started = self._looked = time.monotonic()
        command = [sys.executable, "-P", f"-Xutf8={sys.flags.utf8_mode}", "-m", "bothways.indexer.read.child.worker"]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=_environment(self._folder),
                process_group=0,  # Ctrl-C is for the job, which ends this process then
            )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ReaderError(f"The process that reads files cannot be started: {error.strerror or error}.") from error
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)

    def _replace(self) -> None:
        self.close()
        self._start()
        self._write(b"".join(data for _, data in self._outstanding))

    def _write(self, data: bytes) -> None:
        with suppress(BrokenPipeError):  # it has ended, which is noticed where its answer is waited for
            self._requests.write(data)

    def _next(self, look: Callable[[], None], memory_mb: float) -> Event:
        """Wait for the next event. Raises `_EndedError`, `ReaderError`, and what `look` raises."""
        while True:
            while (event := take(self._buffer)) is None:
                if self._poll.poll(_LOOK_S * 1000):
                    self._fill()
                self._look(look, memory_mb)
            if event[0] != "ready":
                return event  # type: ignore[no-any-return]
            self._is_ready = True

    def _fill(self) -> None:
        data = os.read(self._answers.fileno(), _READ_BYTES)
        if data:
            self._buffer += data
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        how = _how_ended(self._process.returncode)
        if not self._is_ready:
            raise ReaderError(f"The process that reads files ends as it starts: it {how}.")
        raise _EndedError(how)

    def _look(self, look: Callable[[], None], memory_mb: float) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        look()
        if self._rss_mb() > memory_mb:
            raise _EndedError(f"took more than the {memory_mb:g} MB of memory that reading may take")
        if not self._is_ready and now - self._started > _START_S:
            raise ReaderError(f"The process that reads files has not started within {_START_S:g} s.")

    def _rss_mb(self) -> float:
        with suppress(psutil.Error):
            return float(psutil.Process(self._process.pid).memory_info().rss) / 1_000_000
        return 0.0


def _environment(folder: str) -> dict[str, str]:
    """Return the variables of the process: where modules are, its own folder for temporary files, none of our keys."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("BOTHWAYS_")}
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return own | {"PYTHONPATH": path, "TMPDIR": folder, "OPENBLAS_NUM_THREADS": "1"}


def _how_ended(code: int | None) -> str:
    match code:
        case None:
            return "closed its pipe"
        case _ if code == -signal.SIGALRM:
            return "took too long until its next document or page"
        case _ if code == -signal.SIGKILL:
            return "was killed, perhaps by the system because memory ran out"
        case _ if code < 0:
            return f"was ended by the signal {signal.Signals(-code).name}, perhaps by a fault in a library"
        case _:
            return f"ended with exit code {code}"


def _reason(how: str, documents: int) -> str:
    kept = f"; what was read before is kept (documents: {documents:,})" if documents else ""
    return f"Reading the file {how}{kept}."
