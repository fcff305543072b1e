"""What a connection is, whether it blocks or awaits: a channel, one session, and what calls do by default."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from entresol_client.exchange import Exchange
from entresol_client.method import Method, ReplyT, RequestT
from entresol_client.options import Defaults, Metadata
from entresol_client.retry import DEFAULT, Retry
from entresol_client.session import Session

ChannelOptions = Sequence[tuple[str, Any]]

# Every address that a name resolves to gets its share of calls; a server that came back is found soon.
CHANNEL_OPTIONS: dict[str, Any] = {
    "grpc.service_config": json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}),
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
    # Only while calls wait for a reply: servers close connections that ping without a reason.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    "grpc.max_send_message_length": 64 * 1024 * 1024,
}


class Wire:
    """A connection to the platform, shared by any number of clients; calls of all of them make one session.

    `target` is an address that gRPC understands (`host:9000`, `dns:///host:9000`, `unix:path`), or a channel
    that stays the property of whoever made it. Without `credentials` nothing is encrypted. `timeout`
    (seconds, over all attempts), `retry` and `metadata` hold for every call that is told nothing else;
    `options` are gRPC channel options and win over `CHANNEL_OPTIONS`.
    """

    _grpc: ClassVar[Any]  # the module that makes channels: grpc or grpc.aio

    def __init__(
        self,
        target: Any,
        *,
        credentials: Any = None,
        timeout: float = 15.0,
        retry: Retry = DEFAULT,
        metadata: Metadata = (),
        session: Session | None = None,
        options: ChannelOptions = (),
    ) -> None:
        self._owned = isinstance(target, str)
        self._channel = self._open(target, credentials, options) if self._owned else target
        self._defaults = Defaults(timeout, retry, tuple(metadata))
        self._stubs: dict[str, Any] = {}
        self.session = session or Session()

    def with_session(self, session: Session) -> Self:
        """Return a connection over the same channel whose calls belong to `session`.

        For servers that act for many users: one session each, so that each reads its own writes.
        """
        other = copy.copy(self)
        other._owned = False
        other.session = session
        return other

    def _open(self, target: str, credentials: Any, options: ChannelOptions) -> Any:
        merged = list({**CHANNEL_OPTIONS, **dict(options)}.items())
        if credentials is None:
            return self._grpc.insecure_channel(target, options=merged)
        return self._grpc.secure_channel(target, credentials, options=merged)

    def _stub(self, method: Method[RequestT, ReplyT]) -> Any:
        """Return the callable of a method, made at its first call."""
        stub = self._stubs.get(method.path)
        if stub is None:
            make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
            stub = self._stubs[method.path] = make(
                method.path,
                request_serializer=method.request_class.SerializeToString,
                response_deserializer=method.reply_class.FromString,
            )
        return stub

    def _exchange(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> Exchange[RequestT, ReplyT]:
        return Exchange(method, request, options, self._defaults, self.session)
