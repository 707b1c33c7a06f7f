"""A real HTTP server of a test, in a thread, on a free port."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer


class LocalServer:
    """Runs a handler until `close`; handlers that hang wait for `release`."""

    def __init__(self, handler, kind=ThreadingHTTPServer):
        self.release = threading.Event()
        self.server = kind(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
