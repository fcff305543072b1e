"""A browser as far as the console can tell: it keeps cookies, says where forms come from, and follows redirects."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

TOKEN = re.compile(r'name="token" value="([^"]+)"')


@dataclass
class Page:
    """What came back; `text` is what people read of it, without tags."""

    status: int
    headers: Mapping[str, str]
    body: str
    path: str

    @property
    def text(self) -> str:
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.body)).split())


@dataclass
class Browser:
    """A browser of one console."""

    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Page:
        return self.send("GET", path, "", headers)

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> Page:
        """Send a form as a page of the console does, with the token that its pages have; follow where it leads."""
        token = TOKEN.search(self.get("/console/playground").body)
        assert token, "no page has a token"
        return self.send_form(path, {"token": token[1], **form}, **headers)

    def send_form(self, path: str, form: Mapping[str, str], **headers: str) -> Page:
        given = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": f"http://{self.address}",
            "sec-fetch-site": "same-origin",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        page = self.send("POST", path, urlencode(form), given)
        return self.get(page.headers["location"]) if page.status == 303 else page

    def send(self, verb: str, path: str, body: str, headers: Mapping[str, str]) -> Page:
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**({"cookie": jar} if jar else {}), **headers}
        try:
            connection.request(verb, path, body.encode() or None, sent)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            if cookie := told.get("set-cookie"):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            return Page(response.status, told, response.read().decode(), path)
        finally:
            connection.close()
