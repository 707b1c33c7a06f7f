"""The documentation is built as it is published: strictly, all pages reachable, all links right, with no network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs._tools import links
from docs._tools.__main__ import build
from docs._tools.pages import INTERNALS, PROJECT, SECTIONS, find_pages, navigation, site_path
from docs._tools.stage import stage, title_of


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("docs"))


def test_it_is_built_without_a_problem(built):
    site, problems = built
    assert problems == []
    assert (site / "index.html").is_file()


def test_every_page_is_built_and_can_be_reached_from_the_first(built):
    site, _ = built
    wanted = {page.path for page in find_pages()}
    files = {site / path.replace(".md", ".html") for path in wanted}
    assert all(file.is_file() for file in files)
    reached, waiting = set(), [site / "index.html"]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        page = links.read_page(file.read_text("utf-8"))
        targets = [target.partition("#")[0] for target in page.links if not re.match(r"[a-z]+:|//|#", target)]
        waiting += [(file.parent / target).resolve() for target in targets if target.endswith(".html")]
    assert files <= reached


def test_a_new_page_has_a_place_without_a_word_here():
    paths = [page.path for page in find_pages()] + ["brand-new.md", "decisions/brand-new.md", "guide/brand-new.md"]
    placed = navigation(paths)
    assert sorted(path for chosen in placed.values() for path in chosen) == sorted(paths)
    assert "brand-new.md" in placed[PROJECT]
    assert "decisions/brand-new.md" in placed[INTERNALS]
    assert "guide/brand-new.md" in placed["Use it"]
    assert list(placed) == list(SECTIONS)


def test_no_two_pages_have_one_place():
    paths = [page.path for page in find_pages()]
    assert len(set(paths)) == len(paths)
    assert site_path("docs/decisions/README.md") == "decisions/index.md"


def test_every_page_has_a_title():
    for page in find_pages():
        assert title_of(page.source.read_text("utf-8")), page.source


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a start page and what a test writes."""

    def staged(**files):
        for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
            (tmp_path / name).write_text(f"# {name}\n")
        for name, text in {"docs/index.md": "# I\n", **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, "utf-8")
        monkeypatch.setattr("docs._tools.stage.ROOT", tmp_path)
        monkeypatch.setattr("docs._tools.stage.find_pages", lambda: find_pages(tmp_path))
        return stage()

    return staged


def test_links_follow_their_pages(repository):
    texts, problems = repository(
        **{
            "docs/a.md": "# A\n[x](../README.md#r) [y](guide/e.md) [z](decisions)\n",
            "docs/decisions/README.md": "# D\n[up](../a.md)\n",
            "docs/guide/e.md": "# E\n![p](../pictures/p.svg) [code](../../core/x.py) [w](https://a.b/c.md)\n",
            "docs/pictures/p.svg": "<svg/>",
            "core/x.py": "",
        }
    )
    assert problems == []
    assert texts["a.md"] == "# A\n[x](overview.md#r) [y](guide/e.md) [z](decisions/index.md)\n"
    assert texts["decisions/index.md"] == "# D\n[up](../a.md)\n"
    assert texts["guide/e.md"] == "# E\n![p](../pictures/p.svg) code [w](https://a.b/c.md)\n"


def test_a_link_over_two_lines_and_links_in_code(repository):
    text = "# A\n[two\nlines](b.md) `[no](c.md)`\n\n```\n[no](d.md)\n- x\n```\nend\n- item\n- item\n"
    texts, problems = repository(**{"docs/a.md": text, "docs/b.md": "# B\n"})
    assert problems == []
    assert texts["a.md"] == text.replace("end\n- item", "end\n\n- item")


@pytest.mark.parametrize("target", ["nothing.md", "../../outside.md", "decisions/none.md#x"])
def test_a_link_to_nothing_is_a_problem(repository, target):
    _, problems = repository(**{"docs/a.md": f"# A\n[x]({target})\n"})
    assert problems == [f"docs/a.md: {target} is not there"]


def test_the_finished_site_is_checked(tmp_path):
    (tmp_path / "b.html").write_text('<h1 id="中文">x</h1>', "utf-8")
    (tmp_path / "a.html").write_text(
        '<a href="b.html#%E4%B8%AD%E6%96%87">ok</a><a href="b.html#no">x</a><a href="c.html">x</a><a href="#gone">x</a>'
        '<a href="https://elsewhere/x">ok</a><img src="none.png"><script src="https://cdn.x/y.js"></script>'
        '<link rel="stylesheet" href="//cdn.x/y.css"><link rel="canonical" href="https://a/b">',
        "utf-8",
    )
    assert list(links.problems(tmp_path)) == [
        "a.html: loads none.png, which is not there",
        "a.html: loads https://cdn.x/y.js from elsewhere",
        "a.html: loads //cdn.x/y.css from elsewhere",
        "a.html: b.html#no has no such anchor",
        "a.html: c.html is not there",
        "a.html: #gone has no such anchor",
    ]


def test_the_pictures_need_nothing_from_elsewhere():
    for picture in (Path(__file__).parents[2] / "docs" / "pictures").glob("*.svg"):
        text = picture.read_text("utf-8")
        assert not re.search(r"(?:href|src)=\"https?:|@import|url\(https?:", text), picture
