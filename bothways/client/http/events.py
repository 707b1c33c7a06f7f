"""Server-sent events, read line by line: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations


class EventReader:
    """Takes lines without their ends and gives an event where one is whole; comments, as of keep-alives, are none."""

    def __init__(self) -> None:
        self._name = ""
        self._data: list[str] = []

    def feed(self, line: str) -> tuple[str, str] | None:
        """Take a line; give `(name, data)` where it ends an event."""
        if not line:
            event = (self._name or "message", "\n".join(self._data)) if self._data else None
            self._name, self._data = "", []
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        return None
