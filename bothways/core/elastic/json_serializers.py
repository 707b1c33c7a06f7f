"""JSON for the Elasticsearch client by orjson: vectors go out and hits come in several times faster than by `json`."""

from __future__ import annotations

from typing import Any

import orjson
from elasticsearch.serializer import JsonSerializer, NdjsonSerializer, Serializer

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class _Json(JsonSerializer):
    def json_dumps(self, data: Any) -> bytes:  # noqa: ANN401 – whatever a body holds
        return orjson.dumps(data, default=self.default, option=_OPTIONS)

    def json_loads(self, data: str | bytes) -> Any:  # noqa: ANN401
        return orjson.loads(data)


class _CompatibilityJson(_Json):
    mimetype = "application/vnd.elasticsearch+json"


class _Ndjson(_Json, NdjsonSerializer):
    mimetype = "application/x-ndjson"


class _CompatibilityNdjson(_Ndjson):
    mimetype = "application/vnd.elasticsearch+x-ndjson"


def serializers() -> dict[str, Serializer]:
    """Return the client's serializers by MIME type."""
    kinds: tuple[type[Serializer], ...] = (_Json, _CompatibilityJson, _Ndjson, _CompatibilityNdjson)
    return {kind.mimetype: kind() for kind in kinds}
