"""A browser on what ``sync-agent explorer`` serves: our page makes the requests Explorer makes.

The real Explorer is not in this repository (its bundle holds parts that may not be passed on); with
EXPLORER_BUILD naming a build of it, the last test drives that one.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from sync_agent.stub.server import StubServer
from tests.adt_clients import client_at
from tests.outside import absent
from tests.stubs import running_stub
from tests.unit.stub.adt.plane import MODELS, ROOM

PAGE = Path(__file__).parent / "explorer_page"
START_MAX_S = 30

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    if chromium is None:
        absent("needs Chromium, which is not on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        except Error as error:
            absent(f"Chromium does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub() as server, client_at(server.adt_url) as client:
        client.create_models(list(MODELS))
        for name in ("it's first", "second", "third"):
            twin = {"$metadata": {"$model": ROOM}, "thermostat": {"$metadata": {}}}
            client.upsert_digital_twin(name, twin)
        for number, (source, target) in enumerate([("second", "third"), ("third", "it's first")]):
            edge: dict[str, object] = {"$relationshipId": f"r{number}", "$sourceId": source}
            edge |= {"$relationshipName": "next", "$targetId": target}
            client.upsert_relationship(source, f"r{number}", edge)
        yield server


@contextmanager
def explorer(stub: StubServer, folder: Path) -> Iterator[str]:
    """Run the command as a person does; the context has the address it prints."""
    command = [sys.executable, "-m", "sync_agent", "explorer"]
    command += ["--dir", str(folder), "--url", stub.adt_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"http://\S+/connect", first)
            assert found, first
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(START_MAX_S) == 0


def connected(browser: Browser, address: str) -> Page:
    page = browser.new_page()
    page.goto(address)
    page.get_by_text(f"connected, {len(MODELS)} models").wait_for()
    page.get_by_role("button", name="Open Explorer").click()
    page.wait_for_url(address.replace("/connect", "/"))
    return page


def test_a_page_that_asks_as_explorer_does_shows_and_changes_twins(
    stub: StubServer, browser: Browser, tmp_path: Path
) -> None:
    with explorer(stub, PAGE) as address:
        page = connected(browser, address)
        page.wait_for_selector("body[data-drawn='3 twins 2 relationships']")
        assert page.locator("#instance").inner_text() == stub.adt_url
        assert page.locator("#models li").count() == len(MODELS)
        assert page.locator("#graph circle").count() == 3
        page.get_by_role("button", name="Rename the first twin").click()
        page.wait_for_selector("body[data-renamed='renamed']")
        page.get_by_text("There is no digital twin instance").wait_for()
        page.screenshot(path=tmp_path / "explorer.png")
        page.close()
    with client_at(stub.adt_url) as client:
        assert client.get_digital_twin("it's first")["label"] == "renamed"


def test_a_page_of_another_site_gets_nothing(stub: StubServer, browser: Browser) -> None:
    with explorer(stub, PAGE) as address:
        page = browser.new_page()
        page.goto("about:blank")
        api = address.replace("/connect", "/api/proxy/models?api-version=2021-06-30-preview")
        outcome = page.evaluate("(url) => fetch(url).then((a) => a.text(), (e) => String(e))", api)
        page.close()
    assert "Failed to fetch" in outcome


@pytest.mark.skipif("EXPLORER_BUILD" not in os.environ, reason="EXPLORER_BUILD names no build")
def test_the_real_explorer_shows_the_twins(stub: StubServer, browser: Browser) -> None:
    with explorer(stub, Path(os.environ["EXPLORER_BUILD"])) as address:
        page = connected(browser, address)
        page.get_by_text("Run Query").first.click()
        page.get_by_text("second").first.wait_for()
        page.close()
