"""The console in a real browser, over the demo's data: every page by clicks, with no error and no breach of its policy.

`make e2e` installs what drives the browser, and runs this. Screenshots are left in `screenshots/`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO BROWSER TESTS: run `make e2e`, which installs playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
if not CHROMIUM:
    pytest.skip(
        "NO BROWSER TESTS: there is no chromium; as root: apt-get install --no-install-recommends chromium",
        allow_module_level=True,
    )

ROOT = Path(__file__).resolve().parents[3]
SHOTS = Path(__file__).parent / "screenshots"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PAGES = {
    "Topology": "",
    "Consistency": "consistency",
    "Verification": "verification",
    "Resources": "resources",
    "Jobs": "jobs",
    "Schedules": "schedules",
    "Playground": "playground",
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Give a console that may write, of a demo that has taken its tour."""
    own = {
        "ENTRESOL_CONSOLE": "write",
        "ENTRESOL_LISTEN": "127.0.0.1:0",
        "ENTRESOL_WEB_LISTEN": "127.0.0.1:0",
        "ENTRESOL_ADMIN_LISTEN": "127.0.0.1:0",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ENTRESOL_")}
    command = (sys.executable, "-m", "entresol.cli.main", "demo", "--count", "2000", "--json")
    with subprocess.Popen(
        command, cwd=ROOT, env={**kept, **own}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield json.loads(line)["admin"].rstrip("/")
        finally:
            process.terminate()
            process.communicate(timeout=60)


@dataclass
class Visit:
    """A browser's window on the console; `wrong` is what the browser complained of."""

    page: Any
    address: str
    name: str
    wrong: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        response = self.page.goto(f"{self.address}/console/{path}")
        assert response.status == 200, path

    def shoot(self, name: str) -> None:
        """Keep a picture of the page, which must be no wider than the window."""
        width, wanted = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width <= wanted, f"{name} is {width} wide in a window of {wanted}"
        self.page.screenshot(path=str(SHOTS / f"{name}-{self.name}.png"), full_page=True)

    def text(self) -> str:
        return str(self.page.inner_text("main"))

    def says(self, text: str) -> None:
        """Wait until the page says this."""
        self.page.get_by_text(text).first.wait_for()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    SHOTS.mkdir(exist_ok=True)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(params=["light", "dark", "narrow"])
def visit(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Visit]:
    """Give a window, of which the browser may not have complained at the end."""
    size = {"width": 390, "height": 844} if request.param == "narrow" else {"width": 1280, "height": 800}
    scheme = "dark" if request.param == "dark" else "light"
    context = browser.new_context(color_scheme=scheme, viewport=size)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective}`))"
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    found = Visit(page, address, request.param)
    page.on(
        "console",
        lambda message: found.wrong.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on(
        "requestfailed",
        lambda asked: (
            found.wrong.append(f"{asked.url}: {asked.failure}")
            if "ERR_ABORTED" not in str(asked.failure)
            else None
        ),
    )
    page.on(
        "request",
        lambda asked: (
            None if asked.url.startswith(address) else found.wrong.append(f"elsewhere: {asked.url}")
        ),
    )
    yield found
    context.close()
    assert found.wrong == []


def test_every_page_is_reached_by_its_tab_and_fits_its_window(visit: Visit) -> None:
    visit.open("")
    for title, path in PAGES.items():
        visit.page.get_by_role("link", name=title, exact=True).click()
        visit.page.wait_for_url(f"**/console/{path}")
        assert visit.page.locator("h1").inner_text() == title
        visit.shoot(title.lower())


def test_topology_goes_on_by_itself(visit: Visit) -> None:
    visit.open("")
    assert "primary" in visit.text()
    visit.page.evaluate("document.getElementById('topology').dataset.seen = 'true'")
    visit.page.locator("#topology:not([data-seen])").wait_for()
    assert "Hits, last" in visit.text()
    assert "stories.v1.StoryService.GetStory" in visit.text()


def test_records_are_found_read_changed_and_checked(visit: Visit) -> None:
    visit.open("resources")
    visit.page.get_by_role("link", name="stories.v1.Story", exact=True).click()
    visit.page.fill("input[name=order_by]", "score desc")
    visit.page.get_by_role("button", name="List").click()
    visit.says("answered by")
    visit.shoot("list")
    visit.page.locator("table.records tbody a").first.click()
    visit.says("The headline.")
    visit.shoot("record")
    visit.page.get_by_role("link", name="Edit").click()
    title = f"Seen in the {visit.name}"
    visit.page.get_by_label("title").fill("")
    visit.page.get_by_role("button", name="Change").click()
    visit.says("INVALID_ARGUMENT")
    visit.shoot("edit-refused")
    visit.wrong = [
        text for text in visit.wrong if "400 (Bad Request)" not in text
    ]  # the answer to what was wrong
    visit.page.get_by_label("title").fill(title)
    visit.page.get_by_role("button", name="Check only").click()
    visit.says("It would be taken")
    visit.shoot("edit")
    visit.page.get_by_role("button", name="Change").click()
    visit.says("is changed: title")
    assert visit.page.url.endswith(
        "/record?name=" + visit.page.locator("h1").inner_text().replace("/", "%2F")
    )
    assert title in visit.text()


def test_a_record_is_made_and_deleted(visit: Visit) -> None:
    visit.open("resources/stories.v1.User")
    visit.page.get_by_role("link", name="New user").click()
    visit.page.get_by_label("user_id").fill(f"guest-{visit.name}")
    visit.page.get_by_label("display_name").fill("A <b>guest</b>")
    visit.shoot("new")
    visit.page.get_by_role("button", name="Create").click()
    visit.says(f"users/guest-{visit.name} is made")
    assert "A <b>guest</b>" in visit.text()
    visit.page.once("dialog", lambda dialog: dialog.accept())
    visit.page.get_by_role("button", name="Delete").click()
    visit.says(f"users/guest-{visit.name} is deleted")


def test_jobs_and_schedules_are_looked_into_and_operated(visit: Visit) -> None:
    visit.open("schedules")
    visit.page.get_by_role("link", name="referrers").click()
    visit.page.get_by_role("button", name="Pause").click()
    visit.says("referrers is paused")
    visit.page.get_by_role("button", name="Resume").click()
    visit.says("referrers is not paused")
    visit.page.once("dialog", lambda dialog: dialog.accept())
    visit.page.get_by_role("button", name="Run now").click()
    visit.says("is put in")
    visit.page.get_by_text("succeeded").or_(visit.page.get_by_text("dead")).first.wait_for()
    visit.shoot("job")
    visit.page.get_by_role("link", name="referrers").first.click()
    visit.says("Last ticks")
    visit.shoot("schedule")


def test_the_playground_sends_and_tells_who_answered(visit: Visit) -> None:
    visit.open("playground")
    visit.page.locator("form[data-auto] select").select_option("/stories.v1.StoryService/ListStories")
    visit.says("Returns stories page by page.")
    visit.page.get_by_label("Request").fill('{"pageSize": 2, "orderBy": "score desc"}')
    visit.page.get_by_role("button", name="Send").click()
    visit.says("answered by")
    assert '"next_page_token"' in visit.text()
    visit.shoot("playground-reply")


def test_pages_are_operated_by_the_keyboard(visit: Visit) -> None:
    visit.open("resources")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the page"
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Tab")
    assert "stories.v1." in visit.page.evaluate("document.activeElement.textContent")
    outline = visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
