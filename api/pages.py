"""Files that browsers show: served as they are, with a policy that lets them load their own files and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",  # asked for again with its ETag, so that an update never meets an old file
}
"""What every page has beside its policy."""


def policy(**sources: str) -> str:
    """Return a Content-Security-Policy: what is not named may not be loaded; no frame, form or base of elsewhere."""
    named = {"default-src": "'none'", **{name.replace("_", "-"): value for name, value in sources.items()}}
    closed = {"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in {**named, **closed}.items())


class Files(StaticFiles):
    """The files of a folder, or of a package's folder, each with these headers."""

    def __init__(
        self,
        *,
        directory: str | None = None,
        packages: list[str | tuple[str, str]] | None = None,
        headers: Mapping[str, str],
        html: bool = False,
    ) -> None:
        super().__init__(directory=directory, packages=packages, html=html)
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await super().__call__(scope, receive, with_headers)
