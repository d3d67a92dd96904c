"""The review's page in a real browser: fixtures, which conftest gives to all tests.

A test of the page has a fixture `out`: the folder whose review is opened.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import serving

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Containers have a small /dev/shm and no graphics: a browser that tries them hangs now and then.
ARGUMENTS = ["--disable-dev-shm-usage", "--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; where there is none the tests are skipped, in CI they fail."""
    if BROWSER is None:
        if os.environ.get("REDACT_NEED_BROWSER"):
            pytest.fail("There is no browser, and REDACT_NEED_BROWSER says that there must be one.")
        pytest.skip("There is no Chromium here: install it with `apt-get install chromium` to test the page")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, out: Path) -> Iterator[Any]:
    """The page of the review, ready; anything that its console complains about is an error."""
    with serving(out) as client:
        context = browser.new_context(viewport={"width": 1366, "height": 768})
        opened = context.new_page()
        complaints: list[str] = []
        opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(client.link)
        opened.wait_for_selector("body[data-ready]")
        opened.wait_for_selector("#picture[data-frame]")
        try:
            yield opened
        finally:
            context.close()
        assert [line for line in complaints if "409" not in line and "willReadFrequently" not in line] == []


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true in the page, whose policy forbids Playwright's own way of waiting for it."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def frame(page: Any, number: int) -> None:
    """Wait until a frame is shown."""
    page.wait_for_selector(f'#picture[data-frame="{number}"]')


def drag(page: Any, start: tuple[float, float], stop: tuple[float, float]) -> None:
    """Drag the mouse between two points of the clip's picture."""
    place = page.locator("#overlay").bounding_box()
    scale = place["width"] / 320
    page.mouse.move(place["x"] + start[0] * scale, place["y"] + start[1] * scale)
    page.mouse.down()
    page.mouse.move(place["x"] + stop[0] * scale, place["y"] + stop[1] * scale, steps=4)
    page.mouse.up()


def go(page: Any, number: int) -> None:
    """Go to a frame by its number."""
    page.fill("#frame", str(number))
    page.keyboard.press("Enter")
    frame(page, number)


def look(page: Any) -> None:
    """Wait until the doubt that is open was on the screen for long enough to be accepted."""
    until(page, "document.querySelector('#doubt .accept:enabled')")
