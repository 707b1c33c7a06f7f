"""Which changes of the API would break its callers, by two OpenAPI descriptions of it.

A caller breaks where something that it sends is refused, or something that it reads is gone: a route, a parameter or a
field of a request that was removed or is required now, a field of an answer that was removed or may be missing now, a
value that is no longer accepted, another type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def breaking_changes(old: Json, new: Json) -> list[str]:
    """Return a sentence for each breaking change between two descriptions; none for additions."""
    return [*_routes(old, new), *_schemas(old, new)]


def _routes(old: Json, new: Json) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                yield f"{route} is gone"
            else:
                yield from _parameters(route, operation, now)


def _parameters(route: str, old: Json, new: Json) -> Iterator[str]:
    before = {(one["in"], one["name"]): one for one in old.get("parameters", ())}
    after = {(one["in"], one["name"]): one for one in new.get("parameters", ())}
    for key in before.keys() - after.keys():
        yield f"{route}: the parameter {key[1]} is gone"
    for key, one in after.items():
        if one.get("required") and not before.get(key, {}).get("required"):
            yield f"{route}: the parameter {key[1]} is required now"


def _schemas(old: Json, new: Json) -> Iterator[str]:
    sent, read = _used(old, "requestBody"), _used(old, "responses")
    before, after = old["components"]["schemas"], new["components"]["schemas"]
    for name in sorted(before.keys() & after.keys()):
        if name in sent:
            yield from _request(name, before[name], after[name])
        if name in read:
            yield from _answer(name, before[name], after[name])


def _request(name: str, old: Json, new: Json) -> Iterator[str]:
    yield from _gone(name, old, new)
    for field in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{name}: {field} is required now"
    for field, schema in new.get("properties", {}).items():
        removed = _values(old.get("properties", {}).get(field, {})) - _values(schema)
        if removed and _values(schema):
            yield f"{name}: {field} no longer takes {', '.join(sorted(removed))}"


def _answer(name: str, old: Json, new: Json) -> Iterator[str]:
    yield from _gone(name, old, new)
    for field in set(old.get("required", ())) - set(new.get("required", ())):
        if field in new.get("properties", {}):
            yield f"{name}: {field} may be missing now"


def _gone(name: str, old: Json, new: Json) -> Iterator[str]:
    for field, schema in old.get("properties", {}).items():
        now = new.get("properties", {}).get(field)
        if now is None:
            yield f"{name}: {field} is gone"
        elif lost := _types(schema) - _types(now):
            yield f"{name}: {field} is no longer {', '.join(sorted(lost))}"


def _types(schema: Json) -> set[str]:
    kinds = {kind for one in schema.get("anyOf", ()) for kind in _types(one)}
    return kinds | ({schema["type"]} if isinstance(schema.get("type"), str) else set())


def _values(schema: Json) -> set[str]:
    values = {value for one in schema.get("anyOf", ()) for value in _values(one)}
    return values | {str(value) for value in schema.get("enum", ())}


def _used(description: Json, part: str) -> set[str]:
    """Return the names of the schemas that a part of the operations reaches, directly or through others."""
    waiting = [operation.get(part, {}) for methods in description["paths"].values() for operation in methods.values()]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(description["components"]["schemas"].get(name, {}))
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found
