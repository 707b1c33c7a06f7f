"""The process that reads files for a job: `python -m bothways.indexer.read.child.worker`; process.py starts it.

Over a hostile file it may hang, crash or want more memory than there is: then it is this process that ends, not the
job. The time is kept by the kernel (SIGALRM), since a C library that hangs lets no Python code run beside it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from bothways.core.datatypes import Document, Failure
from bothways.indexer.chunk import chunk
from bothways.indexer.read import read_file
from bothways.indexer.read.child.frames import Cut, Event, Request, framed, take
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.files.reasons import reason_of

SILENT_BYTES = 10_000_000
TOTAL_BYTES = 64_000
"""For each so many bytes of a file, it may be silent, and may take in all, `timeout_s` longer."""

_PIPE_BYTES = 65_536
_KILLED_FIRST = "500"


def main() -> None:
    """Read what is asked for until the pipe of requests ends, which it does when the other side is gone."""
    requests, answers = _own_pipes()
    _prepare()
    waiting: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_receive, args=(requests, waiting), daemon=True).start()
    _send(answers, ("ready", None))
    while True:
        answer(waiting.get(), answers)


def answer(request: Request, answers: int) -> None:
    """Read one file, cut its documents if that is asked for, and send what is found, piece by piece.

    `answers` is the file descriptor of the pipe.
    """
    alarm = Alarm(request.timeout_s, _size(request.path))

    def tell(event: Event) -> None:
        # The other side may be busy for minutes, which is not this file's time.
        alarm.stop()
        _send(answers, event)
        alarm.start()

    source = Source(
        path=Path(request.path),
        relative=request.relative,
        max_file_mb=request.max_file_mb,
        on_failure=lambda failure: tell(("failure", failure)),
        on_skip=lambda item, why: tell(("skip", (item, why))),
        case_sections=request.case_sections,
        alive=alarm.start,
    )
    _limit_memory(request.memory_mb)
    alarm.start()
    try:
        for document in read_file(source):
            tell(_cut(document, request.cut))
    except BaseException as error:  # noqa: BLE001 – whatever a library raises, SystemExit too, is this file's failure
        tell(("failure", Failure(stage="read", item=request.relative, reason=reason_of(error))))
    alarm.stop()
    _send(answers, ("end", None))


def _cut(document: Document, cut: Cut | None) -> Event:
    if cut is None:
        return "document", document
    return "chunks", list(chunk([document], cut.chunker, max_chars=cut.max_chars))


class Alarm:
    """Lets the kernel end this process if a file of `size` bytes is silent for too long, or takes too long."""

    def __init__(self, timeout_s: float, size: int) -> None:
        self._silent_s = timeout_s * (1 + size / SILENT_BYTES)
        self._left_s = timeout_s * (1 + size / TOTAL_BYTES)
        self._since: float | None = None

    def start(self) -> None:
        """Begin to wait for the next document, page or other sign of life."""
        self.stop()
        self._since = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(0.001, min(self._silent_s, self._left_s)))

    def stop(self) -> None:
        """Let the file's time stand still."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._since is not None:
            self._left_s -= time.monotonic() - self._since
            self._since = None


def _own_pipes() -> tuple[int, int]:
    """Return stdin and stdout as pipes of our own, so that nothing that a library prints gets between."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # stderr is closed
        os.dup2(nothing, 1)
    os.close(nothing)
    return requests, answers


def _prepare() -> None:
    """Reset signals, write no core files, and let the kernel end this process first where memory is short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM, signal.SIGTERM})
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/oom_score_adj").write_text(_KILLED_FIRST, encoding="ascii")


def _limit_memory(memory_mb: float) -> None:
    """Let the kernel refuse twice the memory that the job allows, for when the job is too busy to look.

    The kernel counts what is reserved, so the limit itself would be too little. macOS does not enforce it.
    """
    if sys.platform != "linux":
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = int(2 * memory_mb * 1_000_000)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _receive(requests: int, waiting: SimpleQueue[Request]) -> None:
    """Pass requests on; when the pipe ends the job is gone, and this process ends at once."""
    buffer = bytearray()
    while data := os.read(requests, _PIPE_BYTES):
        buffer += data
        while (request := take(buffer)) is not None:
            waiting.put(request)
    with suppress(OSError):
        Path(os.environ["TMPDIR"]).rmdir()  # unless something is in it
    os._exit(0)


def _send(answers: int, event: Event) -> None:
    data = memoryview(framed(event))
    while data:
        try:
            data = data[os.write(answers, data) :]
        except BrokenPipeError:
            os._exit(0)


def _size(path: str) -> int:
    with suppress(OSError):
        return Path(path).stat().st_size
    return 0  # the reader says what is wrong with it


if __name__ == "__main__":
    main()
