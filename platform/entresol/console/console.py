"""The console itself: finds the page, sees to who asks, waits no longer than people do, and renders."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from entresol.config import Settings
from entresol.console.access import TOKEN, WRITE, Guard, mode_of
from entresol.console.page import PREFIX, Ask, Moved, Page, View, ask_of, find, link
from entresol.console.render import rendered
from entresol.errors import EntresolError, NotFoundError, PermissionDeniedError
from entresol.redaction import redacted
from entresol.service.call import SESSION_KEY
from entresol.transport.admin.answers import plain
from entresol.transport.web.calls import cookies
from entresol.transport.web.exchange import Headers, Request, Response, code_of

log = logging.getLogger(__name__)

DEADLINE_S = 2.0
_NOTICES_MAX = 64
_TABS = (
    ("Topology", ""),
    ("Consistency", "consistency"),
    ("Verification", "verification"),
    ("Resources", "resources"),
    ("Jobs", "jobs"),
    ("Schedules", "schedules"),
    ("Playground", "playground"),
)
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Nothing from elsewhere, nothing inline, nobody's frame. A referrer of our own keeps the Origin of forms whole.
_HEADERS: Headers = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
]


class Console:
    """Answers requests below `PREFIX`, each by one of its pages."""

    def __init__(self, pages: Sequence[Page], settings: Settings, role: str) -> None:
        self._pages = pages
        self._mode = mode_of(settings)
        self._guard = Guard(settings)
        self._role = role
        self._notices: dict[str, str] = {}
        self._files = _files()

    async def answer(self, request: Request) -> Response:
        """Return the page, the refusal, or why there is none."""
        try:
            return await self._answered(request)
        except Exception:
            log.exception("the console could not show %s", request.path)
            return plain(500, "the console failed; the server's log has the cause\n")

    async def _answered(self, request: Request) -> Response:
        if refusal := self._guard.refusal(request):
            return plain(421, refusal)
        path = request.path.removeprefix(PREFIX) or "/"
        if request.method == "GET" and path in self._files:
            return self._files[path]
        found = find(self._pages, request.method, path)
        if found is None:
            return self._failed(NotFoundError(request.path), path)
        page, parts = found
        ask = ask_of(request, parts, cookies(request).get(SESSION_KEY, ""))
        try:
            if request.method == "POST":
                self._check(request, ask, page)
            async with asyncio.timeout(DEADLINE_S):
                told = await page.answer(ask)
        except TimeoutError:
            return self._page(_away(f"no answer within {DEADLINE_S:g} s"), path, ask)
        except EntresolError as error:
            return self._failed(error, path, ask)
        return self._moved(told) if isinstance(told, Moved) else self._page(told, path, ask)

    def _check(self, request: Request, ask: Ask, page: Page) -> None:
        """Refuse a form that no page of ours sent, and one that changes something where that is not allowed."""
        if refusal := self._guard.form_refusal(request, ask.form.get(TOKEN, "")):
            raise PermissionDeniedError(refusal)
        if page.writes and self._mode != WRITE:
            raise PermissionDeniedError(
                "this console only reads: ENTRESOL_CONSOLE=write lets it change things, on a loopback address"
            )

    def _page(self, view: View, path: str, ask: Ask | None = None) -> Response:
        notice = "" if ask is None else self._notices.pop(ask.query.get("notice", ""), "")
        tab = path.strip("/").partition("/")[0]
        values = {
            **view.values,
            "tabs": [(title, link(name) if name else link(), name == tab) for title, name in _TABS],
            "role": self._role,
            "mode": self._mode,
            "may_write": self._mode == WRITE,
            "token": self._guard.token,
            "notice": notice,
        }
        headers = [("content-type", "text/html; charset=utf-8"), *_HEADERS, *_cookie(view.session)]
        return Response(view.status, headers, rendered(view.template, values).encode())

    def _failed(self, error: EntresolError, path: str, ask: Ask | None = None) -> Response:
        name, status = code_of(error.code)
        values = {"name": name, "text": redacted(error.message)}
        return self._page(View("failed.html", values, status), path, ask)

    def _moved(self, told: Moved) -> Response:
        path = told.path
        if told.notice:
            key = secrets.token_hex(4)
            while len(self._notices) >= _NOTICES_MAX:  # of those that nobody came for, the oldest goes
                self._notices.pop(next(iter(self._notices)))
            self._notices[key] = told.notice
            path += f"{'&' if '?' in path else '?'}notice={key}"
        return Response(303, [("location", path), *_HEADERS, *_cookie(told.session)])


def _away(text: str) -> View:
    return View("failed.html", {"name": "UNAVAILABLE", "text": text}, 503)


def _cookie(session: str) -> Headers:
    if not session:
        return []
    return [("set-cookie", f"{SESSION_KEY}={session}; Path={PREFIX}; HttpOnly; SameSite=Strict")]


def _files() -> Mapping[str, Response]:
    """Return style, script and icon by their paths below the console."""
    folder = Path(__file__).parent / "static"
    return {
        f"/static/{file.name}": Response(
            200, [("content-type", _KINDS[file.suffix]), *_HEADERS], file.read_bytes()
        )
        for file in folder.iterdir()
    }
