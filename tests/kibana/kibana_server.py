"""A Kibana that knows one thing: its import API, as documented, over objects that it keeps in memory."""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.http_server import LocalServer

TYPES = {"index-pattern", "search", "dashboard", "lens"}


class KibanaServer:
    """`objects` are those of each space; `login` is the Authorization that it wants; `answer` replaces its answers."""

    def __init__(self, *, login=None, spaces=("default",), base=""):
        self.objects = {space: {} for space in spaces}
        self.login = login
        self.base = base
        self.answer = None
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.respond(self)

            def log_message(self, *_):
                pass

        self._server = LocalServer(Handler)
        self.url = self._server.url + base

    def close(self):
        self._server.close()

    def respond(self, handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        self.requests.append((handler.path, handler.headers))
        status, said, headers = self.answer or (*self._import(handler.path, handler.headers, body), {})
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    def _import(self, path, headers, body):
        if not headers.get("kbn-xsrf"):
            return _error(400, "Request must contain a kbn-xsrf header.")
        if self.login is not None and headers.get("authorization") != self.login:
            return _error(401, "[security_exception]: unable to authenticate user")
        parts = urlsplit(path)
        space = next((one for one in self.objects if parts.path == self._path(one)), None)
        if space is None:
            return _error(404, "Not Found")
        chosen = {name: value for name, (value,) in parse_qs(parts.query).items()}
        if chosen.keys() - {"overwrite", "createNewCopies", "compatibilityMode"} or chosen["overwrite"] not in {
            "true",
            "false",
        }:
            return _error(400, "[request query]: definition for this key is missing")
        name, content = _file_of(headers["content-type"], body)
        if not name.endswith(".ndjson"):
            return _error(400, "Invalid file extension")
        lines = [json.loads(line) for line in content.decode().splitlines() if line]
        return 200, self._take(lines, self.objects[space], overwrite=chosen["overwrite"] == "true")

    def _path(self, space):
        inside = "" if space == "default" else f"/s/{space}"
        return f"{self.base}{inside}/api/saved_objects/_import"

    def _take(self, lines, kept, *, overwrite):
        errors, taken = [], []
        known = kept.keys() | {(line["type"], line["id"]) for line in lines}
        for line in lines:
            key = (line["type"], line["id"])
            missing = [one for one in line["references"] if (one["type"], one["id"]) not in known]
            if line["type"] not in TYPES:
                errors.append(_refusal(line, {"type": "unsupported_type"}))
            elif missing:
                errors.append(_refusal(line, {"type": "missing_references", "references": missing}))
            elif key in kept and not overwrite:
                errors.append(_refusal(line, {"type": "conflict"}))
            else:
                kept[key] = line
                taken.append({"type": key[0], "id": key[1], "managed": False})
        told = {"success": not errors, "successCount": len(taken), "successResults": taken, "warnings": []}
        return {**told, "errors": errors} if errors else told


def _refusal(line, error):
    return {"type": line["type"], "id": line["id"], "meta": {"title": line["attributes"]["title"]}, "error": error}


def _error(status, message):
    return status, {"statusCode": status, "error": "Error", "message": message}


def _file_of(content_type, body):
    """Read the one part of a multipart body that the API takes: its file's name and content."""
    message = BytesParser(policy=HTTP).parsebytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
    assert message.is_multipart()
    (part,) = message.iter_parts()
    assert part.get_param("name", header="content-disposition") == "file"
    return part.get_filename(), part.get_payload(decode=True)
