"""An upload that is cut off, broken or made of too many parts is refused whole, before anything of it is a job."""

from __future__ import annotations

import json
from functools import partial

import pytest

from bothways.api.app import create_app
from bothways.core.errors import JobStateError
from bothways.core.settings import load_settings
from bothways.search.pipeline import Searcher
from tests.api.asgi import request
from tests.fakes import HashEncoder

pytestmark = pytest.mark.elasticsearch

FIRST = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nfirst file\r\n'
SECOND = b'--b\r\nContent-Disposition: form-data; name="files"; filename="b.txt"\r\n\r\nsecond file\r\n'
WHOLE = FIRST + SECOND + b"--b--\r\n"


@pytest.fixture
def taken():
    """The uploads that would have become jobs: collection and names."""
    return []


@pytest.fixture
def app(es, segmenter, tmp_path, taken):
    def build(_):
        return Searcher(es[0], segmenter, HashEncoder, embedding_model="fake/hash"), es[1]

    made = create_app(load_settings(cache_dir=tmp_path, feedback=False), build)

    class Uploads:
        def submit(self, collection, files, acl_field=""):
            taken.append([(name, file.read()) for name, file in files])
            raise JobStateError("Enough.")

    made.state.uploads = Uploads()
    return made


@pytest.fixture
def upload(app, collection):
    """Send a body to a collection that is not there."""
    return partial(send, app, f"/api/v1/collections/{collection}/documents")


def send(app, path, body, *, pieces=None, kind="multipart/form-data; boundary=b"):
    headers = [("content-type", kind), ("content-length", str(len(body)))]
    return request(app, "POST", path, headers=headers, pieces=pieces or (body,))


def test_a_whole_upload_is_taken(upload, taken):
    for body in (WHOLE, WHOLE.removesuffix(b"\r\n"), WHOLE + b"epilogue", b"\r\n" + WHOLE):
        taken.clear()
        assert upload(body).status == 409
        assert taken == [[("a.txt", b"first file"), ("b.txt", b"second file")]]


def test_the_end_may_come_in_pieces(upload, taken):
    for at in range(len(WHOLE) - 12, len(WHOLE)):
        taken.clear()
        assert upload(WHOLE, pieces=(WHOLE[:at], WHOLE[at:], b"")).status == 409
        assert len(taken) == 1


def test_cut_off_anywhere_it_is_refused_whole(upload, taken):
    for at in range(len(WHOLE.rstrip())):
        answered = upload(WHOLE[:at])
        assert answered.status == 400, WHOLE[:at]
        assert "cut off" in json.loads(answered.body)["detail"]
    assert taken == []


@pytest.mark.parametrize(
    "body",
    [
        WHOLE.replace(b"--b--", b"--b"),
        WHOLE.replace(b"--b--", b"--c--"),
        FIRST.replace(b"\r\n", b"\n") + b"--b--\n",
        b"--b\r\n" + b"X: y\r\n" * 9 + FIRST.removeprefix(b"--b\r\n") + b"--b--\r\n",
        b"--b\r\nX: " + b"y" * 5000 + b"\r\n" + FIRST.removeprefix(b"--b\r\n") + b"--b--\r\n",
        FIRST.replace(b"a.txt", b"a" * 5000 + b".txt") + b"--b--\r\n",
        FIRST.replace(b"files", b"f" * 5000) + b"--b--\r\n",
        FIRST * 1001 + b"--b--\r\n",
        FIRST.replace(b'; filename="a.txt"', b"") * 2 + b"--b--\r\n",
        FIRST.replace(b'; filename="a.txt"', b"").replace(b"first file", b"x" * 1_100_000) + b"--b--\r\n",
        FIRST.replace(b'name="files"; ', b"") + b"--b--\r\n",
    ],
    ids=[
        "no end", "another end", "bare new lines", "nine headers", "long header", "long file name", "long field name",
        "1001 files", "two fields", "long field", "no field name",
    ],
)  # fmt: skip
def test_broken_or_too_much(upload, taken, body):
    answered = upload(body)
    assert (answered.status, taken) == (400, []), answered.body
    assert "multipart/form-data" in json.loads(answered.body)["detail"]


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'b' * 300}", "; charset=utf-8"])
def test_boundaries_that_are_none(upload, taken, boundary):
    assert upload(WHOLE, kind=f"multipart/form-data{boundary}").status == 400
    assert taken == []


def test_a_form_of_fields_is_told_that_it_has_no_file(upload, taken):
    answered = upload(FIRST.replace(b'; filename="a.txt"', b"") + b"--b--\r\n")
    assert answered.status == 422
    assert "'files' is not a file" in json.loads(answered.body)["detail"]
