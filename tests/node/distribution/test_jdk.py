import pytest

from bothways.core.errors import NodeError
from bothways.node.distribution import jdk
from bothways.node.distribution.jdk import find_jdk, read_java

WHOLE = "java.base jdk.attach jdk.jlink jdk.incubator.vector"


def make_java(home, version, modules=WHOLE):
    (home / "bin").mkdir(parents=True)
    (home / "bin/java").write_text("#!/bin/sh\nexit 1\n")
    (home / "bin/java").chmod(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return home


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    """No Java but those that a test makes below `jvm`."""
    monkeypatch.delenv("ES_JAVA_HOME", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(jdk, "PLACES", (str(tmp_path / "jvm/*"),))
    return tmp_path / "jvm"


@pytest.mark.parametrize(
    ("version", "feature"), [("25.0.3", 25), ("21", 21), ("26-ea", 26), ("1.8.0_402", 8), ("17.0.15", 17)]
)
def test_version_is_read_from_the_release_file(places, version, feature):
    assert read_java(make_java(places / "a", version)).version == feature


def test_modules_may_be_jmods(places):
    home = make_java(places / "a", "21.0.1", modules="")
    (home / "jmods").mkdir()
    for name in WHOLE.split():
        (home / "jmods" / f"{name}.jmod").touch()
    assert read_java(home).fits


def test_a_java_without_a_release_file_is_asked(places):
    home = make_java(places / "a", "21")
    (home / "release").unlink()
    lines = "\n".join(f"{name}@25.0.1" for name in WHOLE.split())
    (home / "bin/java").write_text(f"#!/bin/sh\n[ $1 = --list-modules ] && echo '{lines}'\n")
    java = read_java(home)
    assert (java.version, java.fits) == (25, True)


def test_no_java_is_none(tmp_path):
    assert read_java(tmp_path) is None


def test_the_newest_that_was_tried_wins_over_older_and_untried_ones(places):
    for version in ("17.0.1", "21.0.2", "25.0.3", "99.0.1"):
        make_java(places / f"jdk-{version}", version)
    assert find_jdk() == places / "jdk-25.0.3"


def test_an_untried_one_is_better_than_none(places):
    make_java(places / "jdk-98", "98")
    make_java(places / "jdk-99", "99")
    assert find_jdk() == places / "jdk-98"


def test_too_old_and_jres_are_refused(places):
    make_java(places / "old", "17.0.1")
    make_java(places / "jre", "25.0.1", modules="java.base jdk.incubator.vector")
    with pytest.raises(NodeError, match=r"No JDK 21 or newer was found.*ES_JAVA_HOME"):
        find_jdk()


def test_one_that_cannot_be_read_by_the_node_is_refused(places):
    make_java(places / "a", "21")
    make_java(places / "b", "25")
    assert find_jdk(usable=lambda home: home.name == "a") == places / "a"


def test_java_home_wins_when_it_fits(monkeypatch, places, tmp_path):
    make_java(places / "b", "25")
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "mine", "21")))
    assert find_jdk() == tmp_path / "mine"
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "old", "11")))
    assert find_jdk() == places / "b"


def test_java_on_the_path_is_followed_to_its_home(monkeypatch, tmp_path):
    home = make_java(tmp_path / "opt/jdk", "21")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/java").symlink_to(home / "bin/java")
    assert find_jdk() == home


def test_es_java_home_has_to_fit(monkeypatch, places, tmp_path):
    make_java(places / "b", "25")
    monkeypatch.setenv("ES_JAVA_HOME", str(make_java(tmp_path / "mine", "21")))
    assert find_jdk() == tmp_path / "mine"
    monkeypatch.setenv("ES_JAVA_HOME", str(make_java(tmp_path / "old", "17")))
    with pytest.raises(NodeError, match=r"ES_JAVA_HOME is .*old, which is not a whole JDK 21"):
        find_jdk()


def test_the_distributions_own_comes_first(places, tmp_path):
    make_java(places / "b", "25")
    make_java(tmp_path / "es/jdk", "24")
    assert find_jdk(tmp_path / "es") == tmp_path / "es/jdk"
