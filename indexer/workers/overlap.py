"""Two stages of the write path at once: one stage's work runs in threads while the caller continues with the other.

What computes in C++ or waits for a server (ONNX Runtime, `_bulk`) releases Python's lock, so threads are enough. The
iterators are only pulled by the caller's own thread: they need no locks, and Ctrl-C arrives there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def overlapped(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int, stop: threading.Event, name: str
) -> Generator[Result, None, None]:
    """Return `work(item)` for every item, lazily and in order, with `threads` items worked on while the caller goes on.

    At most `ahead` items are taken whose results are not given yet: a slow stage holds the one before it back, and
    memory is bounded. An error of `work` or of `items` is raised as it is. Then, as when the iterator is closed, `stop`
    is set for `work` to look at, what has not begun is dropped, and what has begun is waited for.
    """
    source = iter(items)
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        while True:
            waiting.extend(pool.submit(work, item) for item in islice(source, ahead - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
