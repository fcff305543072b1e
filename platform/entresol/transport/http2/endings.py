"""Calls answered before their requests end: peers are told to send no more, once they have the answer."""

from __future__ import annotations

import contextlib

import zttp

_NO_ERROR = 0


class Endings:
    """Those of one connection."""

    def __init__(self) -> None:
        self._waiting: dict[int, zttp.Stream] = {}  # a rest of the answer waits for the peer

    def add(self, stream_id: int, handle: zttp.Stream) -> None:
        """Tell the peer to send no more for this call, now or once it has the whole answer."""
        if handle.pending_bytes:
            self._waiting[stream_id] = handle
        else:
            _stop(handle)

    def go_on(self) -> None:
        """Tell those that have the whole answer by now."""
        for stream_id, handle in list(self._waiting.items()):
            if not handle.pending_bytes:
                del self._waiting[stream_id]
                _stop(handle)


def _stop(handle: zttp.Stream) -> None:
    with contextlib.suppress(zttp.LocalProtocolError):  # it may have ended by itself
        handle.reset(_NO_ERROR)
