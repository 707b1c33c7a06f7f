"""Take the pictures of docs/guide/console.md and of the README from a running server, in a real Chromium.

    bothways serve &
    python -m benchmarks.search.console_pictures --url http://127.0.0.1:8000 --out docs/pictures

It searches the sample knowledge base (`make demo` indexes it), uploads one small file into a collection of its own,
which it deletes again, and asks one question. Nobody's feedback is touched: no hit is opened.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.chromium import MISSING, find

COLOURS = 160
"""Of a picture: a page of text needs no more, and the file is a third."""
WAIT_MS = 120_000
UPLOADED = ("健身房.txt", "健身房每天早上六点开门，晚上十点关门，凭工牌免费进入。\n\n淋浴间在二层，毛巾请自备。")


def main() -> int:
    """Take all pictures; 1 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--report", type=Path, help="a report.json of `bothways eval`, for the picture of the viewer")
    parser.add_argument("--only", help="names of pictures, by commas")
    given = parser.parse_args()
    path = find()
    if path is None:
        print(MISSING, file=sys.stderr)
        return 1
    wanted = set(given.only.split(",")) if given.only else None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [], timeout=WAIT_MS
        )
        for name, take in _pictures(given.url.rstrip("/"), given.report).items():
            if wanted is None or name in wanted:
                take(browser, given.out / f"console-{name}.png")
        browser.close()
    return 0


def _pictures(url: str, report: Path | None) -> dict[str, Callable[[Browser, Path], None]]:
    def shot(view: str, then: Callable[[Page], None] = _settled, **look: object) -> Callable[[Browser, Path], None]:
        def take(browser: Browser, out: Path) -> None:
            with _page(browser, **look) as page:
                page.goto(f"{url}/console/#/{view}")
                then(page)
                _save(page, out)

        return take

    leave = {"collection": "handbook", "q": "年假没休完能折现吗", "strategy": "hybrid"}
    parcel = leave | {"q": "没人在家快递咋办"}
    taken = {
        "search": shot(f"search?{urlencode(leave)}", width=1280, height=960),
        # For the README: what a user sees, with the explanations closed.
        "readme": shot(f"search?{urlencode(leave | {'explain': '0'})}", width=1280, height=640),
        "compare": shot(f"search?{urlencode(leave | {'compare': 'bm25'})}", width=1280, height=960, language="en-GB"),
        "dark": shot(f"search?{urlencode(parcel)}", width=1280, height=820, dark=True),
        "phone": shot(f"search?{urlencode(parcel)}", width=360, height=760),
        "ask": shot(
            f"ask?{urlencode({'collection': 'handbook', 'strategy': 'hybrid'})}", _asked, width=1080, height=900
        ),
        "upload": _upload(url),
    }
    if report is not None:
        taken["evaluation"] = shot("evaluation", lambda page: _opened(page, report), width=1280, height=900)
    return taken


def _settled(page: Page) -> None:
    page.locator(".hit").first.wait_for()
    page.locator(".loading").first.wait_for(state="detached")


def _asked(page: Page) -> None:
    page.locator("#ask-q").fill("没用完的年休假可以结转至次年几月")
    page.keyboard.press("Enter")
    page.locator(".passage").first.wait_for()
    page.evaluate("scrollTo(0, 0)")


def _opened(page: Page, report: Path) -> None:
    page.locator("#report-file").set_input_files(report)
    page.locator(".chart").first.wait_for()


def _upload(url: str) -> Callable[[Browser, Path], None]:
    def take(browser: Browser, out: Path) -> None:
        collection = f"gym-{uuid.uuid4().hex[:4]}"
        try:
            with _page(browser, width=1280, height=820) as page:
                page.route("**/api/v1/collections", lambda route: _few(route, {"handbook", collection}))
                page.goto(f"{url}/console/#/collections")
                page.locator("#upload-collection").fill(collection)
                name, text = UPLOADED
                page.locator("#upload-files").set_input_files(
                    {"name": name, "mimeType": "text/plain", "buffer": text.encode()}
                )
                page.locator(".uploads .state-done").wait_for()
                page.locator(f'.card[data-collection="{collection}"]').wait_for()
                page.evaluate("document.activeElement.blur()")
                _save(page, out)
        finally:
            httpx.delete(f"{url}/api/v1/collections/{collection}", timeout=60)

    return take


def _few(route: Route, names: set[str]) -> None:
    """Leave what else lies on this machine out of the picture."""
    answer = route.fetch(timeout=WAIT_MS)
    route.fulfill(response=answer, json=[one for one in answer.json() if one["name"] in names])


@contextmanager
def _page(browser: Browser, *, width: int, height: int, language: str = "zh-CN", dark: bool = False) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale=language,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(WAIT_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def _save(page: Page, out: Path) -> None:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, optimize=True)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
