"""The pages of one process: is it alive, is it ready, what are its settings, figures and surroundings."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import version

from entresol.config import Settings
from entresol.life import Facts, Life, Phase, time_text
from entresol.transport.admin.answers import as_json, as_lines, plain
from entresol.transport.admin.configz import configuration
from entresol.transport.admin.figures import figures
from entresol.transport.web.exchange import Answer, Request, Response

# A balancer takes 404 for a server that leaves, and 503 for one that is down: HAProxy's `http-check disable-on-404`.
_STATUS = {Phase.STARTING: 503, Phase.READY: 200, Phase.DRAINING: 404}


def pages_of(life: Life, settings: Settings) -> Mapping[str, Callable[[Request], Answer]]:
    """Return the pages of this process, by their paths."""
    return {
        "/livez": lambda _: plain(200, "ok\n"),
        "/readyz": lambda _: readiness(life),
        "/metrics": figures,
        "/configz": lambda _: as_json(configuration(settings)),
        "/topology": lambda _: as_json({"processes": [surroundings(life)]}),
    }


def readiness(life: Life) -> Response:
    """Return whether calls should come here; then a line for each store that is away."""
    lacks = life.lacks()
    status = _STATUS[life.phase]
    if life.phase is Phase.READY and any(lack.blocks for lack in lacks):
        status = 503
    return as_lines([{"phase": life.phase}, *(lack.facts() for lack in lacks)], status)


def surroundings(life: Life) -> Facts:
    """Return what this process is, and what it knows of the stores and of itself."""
    process = {
        "role": life.role,
        "phase": life.phase,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "began": time_text(life.began_s),
        "version": _version(),
        "python": platform.python_version(),
        "lacks": [lack.facts() for lack in life.lacks()],
    }
    return {"process": process, **life.facts()}


@lru_cache(maxsize=1)
def _version() -> str:
    return version("entresol")
