"""Why a file could not be read, in one sentence, whatever it was that its reader raised."""

from __future__ import annotations

from bothways.core.errors import ReadError

_MOST_CHARS = 200


def reason_of(error: BaseException) -> str:
    """Return the reason for people: our own sentence, or the error's class and the start of its message."""
    match error:
        case ReadError():
            return str(error)
        case OSError():
            return f"The file cannot be opened: {error.strerror or error}."
        case RecursionError():
            return f"The file is nested too deeply to be read: {error}."
        case MemoryError():
            return "Reading the file takes more memory than BOTHWAYS_READ_MEMORY_MB allows, or than there is."
        case _:
            what = " ".join(str(error).split())[:_MOST_CHARS].rstrip(".")
            kind = type(error).__name__
            return f"The file cannot be read: {kind}: {what}." if what else f"The file cannot be read: {kind}."
