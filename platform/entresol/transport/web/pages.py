"""What the web's port shows to people and tools: the OpenAPI document, and a page to try the API with."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from importlib.resources import files

from entresol.schema.model import Model
from entresol.transport.web.exchange import JSON, Response
from entresol.transport.web.openapi import document

OPENAPI, TRY = "/openapi.json", "/"
# The page loads nothing from elsewhere and runs only its own script.
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"


def pages(model: Model, custom: Container[str]) -> Mapping[str, Response]:
    """Return the pages by path, made once. `custom` are the paths of methods that functions answer."""
    folder = files("entresol.transport.web") / "page"

    def page(name: str, kind: str) -> Response:
        headers = [
            ("content-type", kind),
            ("content-security-policy", _POLICY),
            ("cache-control", "no-cache"),
        ]
        return Response(200, headers, (folder / name).read_bytes())

    return {
        OPENAPI: Response(200, [("content-type", JSON)], json.dumps(document(model, custom=custom)).encode()),
        TRY: page("try.html", "text/html; charset=utf-8"),
        "/try.js": page("try.js", "text/javascript; charset=utf-8"),
        "/try.css": page("try.css", "text/css; charset=utf-8"),
    }
