"""Files of a request as multipart/form-data, all of them or none."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fastapi import HTTPException, Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

MAX_FILES = 1000
MAX_FIELDS = 1
"""Fields that are no files are refused; the first one is taken in so that the error can name it."""


class _Parser(MultiPartParser):
    """starlette's parser, for bodies that have their end.

    A body that a proxy or a client cut off, with a Content-Length that agrees, looks whole to all who count bytes. Only
    the last boundary says that the last file, and the files after it, are there.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request.headers, self._whole(request), max_files=MAX_FILES, max_fields=MAX_FIELDS)
        self._has_ended = False

    def on_end(self) -> None:
        """Note the last boundary."""
        self._has_ended = True

    async def _whole(self, request: Request) -> AsyncGenerator[bytes, None]:
        """Yield the body; raises where all of it is read and the last boundary was not in it."""
        async for piece in request.stream():
            yield piece
        if not self._has_ended:
            raise MultiPartException(
                "it is cut off, since its last boundary is missing. Nothing of it was taken: send it again."
            )


async def read_files(request: Request) -> FormData:
    """Return the parts of a body; the caller closes them. Raises 400 where it is cut off, broken or has too many."""
    try:
        return await _Parser(request).parse()
    except MultiPartException as error:
        raise HTTPException(400, f"The upload cannot be read as multipart/form-data: {error.message}") from error
