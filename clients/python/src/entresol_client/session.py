"""What one user has seen of the platform, so that nothing read later is older."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

# Request metadata has room for about 8 KiB, and a token may have 400 bytes.
TOKENS_MAX = 8
_TOKEN = re.compile(r"[\x21-\x2b\x2d\x2f-\x7e]{1,1024}")
_BETWEEN = re.compile(r"[.,]")


class Session:
    """One user's session: tokens of the server, opaque, newest last. Safe to share between threads and tasks.

    A reply carries a token that stands for everything its call was sent, so it takes the place of just those
    tokens: of two calls at the same time, neither makes the other forgotten. At most
    `TOKENS_MAX` are kept, the newest: more than so many writes at once in one session may lose the promise
    for the oldest.

    `Session(text)` continues the session whose `token` was `text`, in whichever process that was.
    """

    def __init__(self, text: str = "") -> None:
        self._lock = threading.Lock()
        self._tokens = tuple(token for token in _BETWEEN.split(text) if token)[-TOKENS_MAX:]
        for token in self._tokens:
            if _TOKEN.fullmatch(token) is None:
                raise ValueError("session: not the token of a session; begin a new one with Session()")

    @property
    def token(self) -> str:
        """Return the whole session as text, for a cookie or another process; "" before the first token."""
        return ".".join(self._tokens)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return the tokens to send."""
        return self._tokens

    def received(self, tokens: Iterable[str], sent: tuple[str, ...]) -> None:
        """Take the tokens of a reply in place of those that its call was sent."""
        fresh = [token for value in tokens for token in _BETWEEN.split(value) if token]
        if not fresh:
            return
        with self._lock:
            kept = [token for token in self._tokens if token not in sent and token not in fresh]
            self._tokens = tuple(kept + fresh)[-TOKENS_MAX:]
