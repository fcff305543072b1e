"""A client of the web's port, as browsers, Connect's clients, CDNs and curl use it."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from entresol.testing.running import RunningPlatform

SERVICE = "/stories.v1.StoryService"
JSON = "application/json"
_numbers = itertools.count(1)


@dataclass
class Web:
    """A client over one connection at a time."""

    running: RunningPlatform
    author: str = ""

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request; a body that is not bytes goes as JSON."""
        host, _, port = self.running.web_address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", JSON)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def story(self, **fields: Any) -> dict[str, Any]:
        """Make a story and return it."""
        name = f"web-{next(_numbers)}"
        story = {"title": "A story", "author": self.author, **fields}
        created = self.send("POST", f"/v1/stories?story_id={name}", story)
        assert created.status == 200, created
        return dict(created.json)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def strong(web: Web, path: str) -> Answer:
    return web.send("GET", path, headers={"entresol-consistency": "strong"})


def connect(web: Web, method: str, body: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.send("POST", f"{SERVICE}/{method}", body, named)
