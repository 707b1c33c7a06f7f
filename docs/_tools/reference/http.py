"""docs/reference/http.md: every route and every schema, from the server's OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bothways.core.text.markdown import markdown_table

Json = Mapping[str, Any]


def http_page(openapi: Json) -> str:
    """Return every route and every schema of an OpenAPI 3.1 description as Markdown."""
    lines = [
        "# REST API",
        "",
        "Made of the server's own OpenAPI description ([openapi.json](openapi.json)). A running server has it at",
        "`/openapi.json`, and at `/docs` to try it out. With `BOTHWAYS_API_KEYS` or `BOTHWAYS_API_KEYS_FILE` set, send",
        "`Authorization: Bearer KEY`. Errors are [problem documents](#problem) (RFC 9457) that say what to do, and the",
        "header `X-Request-ID` is sent back. A stage of a search that fails or is late is named in `degraded`.",
        "",
        "## Routes",
        "",
    ]
    operations = [
        (f"{m.upper()} {path}", one) for path, methods in openapi["paths"].items() for m, one in methods.items()
    ]
    lines += [markdown_table(("route", "does"), ((f"`{title}`", _first_line(one)) for title, one in operations)), ""]
    for title, operation in operations:
        lines += _operation(title, operation)
    lines += ["## Schemas", ""]
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def type_of(schema: Json) -> str:
    """Return a schema's type in a few words, linked to the schema that it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(type_of(one) for one in schema[several]))
    if "const" in schema:
        return f"`{json.dumps(schema['const'], ensure_ascii=False)}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    inner = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(inner, dict):
        return f"object of {type_of(inner)}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _operation(title: str, operation: Json) -> Iterator[str]:
    yield f"### `{title}`"
    yield ""
    yield _text(operation.get("description") or operation.get("summary", ""))
    yield ""
    if parameters := operation.get("parameters"):
        yield markdown_table(("parameter", "in", "type", "default", "what it is"), map(_parameter, parameters))
        yield ""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body, `{kind}`: {type_of(content.get('schema', {}))}"
        yield ""
    yield markdown_table(("status", "answer", "body"), map(_response, operation["responses"].items()))
    yield ""


def _parameter(one: Json) -> tuple[str, ...]:
    schema = one.get("schema", {})
    name = f"`{one['name']}`{', required' if one.get('required') else ''}"
    return name, one["in"], type_of(schema), _default(schema), one.get("description", schema.get("description", ""))


def _response(item: tuple[str, Json]) -> tuple[str, ...]:
    status, answer = item
    bodies = [type_of(content.get("schema", {})) for content in answer.get("content", {}).values()]
    return status, answer.get("description", ""), ", ".join(dict.fromkeys(bodies))


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield _text(schema.get("description", ""))
    yield ""
    required = set(schema.get("required", ()))
    rows = (
        (f"`{field}`{', required' if field in required else ''}", type_of(one), _default(one), _bounds(one))
        for field, one in schema.get("properties", {}).items()
    )
    if schema.get("properties"):
        yield markdown_table(("field", "type", "default", "what it is"), rows)
        yield ""
    for example in schema.get("examples", ()):
        yield "```json"
        yield json.dumps(example, ensure_ascii=False, indent=2)
        yield "```"
        yield ""


def _bounds(schema: Json) -> str:
    """Return the description and the bounds of a field, which may stand inside its alternatives."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "maxLength": "length ≤"}
    bounds = [
        f"{sign} {one[name]}"
        for one in (schema, *schema.get("anyOf", ()))
        for name, sign in signs.items()
        if name in one
    ]
    return "; ".join(part for part in (schema.get("description", ""), ", ".join(bounds)) if part)


def _default(schema: Json) -> str:
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`" if "default" in schema else ""


def _first_line(operation: Json) -> str:
    return _text(operation.get("description") or operation.get("summary", "")).partition("\n\n")[0]


def _text(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
