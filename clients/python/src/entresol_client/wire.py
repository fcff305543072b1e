"""What a connection is, whether it blocks or awaits: channels, one session, and what calls do by default."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from entresol_client.exchange import Exchange
from entresol_client.hedging import Hedging
from entresol_client.method import Method, ReplyT, RequestT
from entresol_client.options import Defaults, Metadata
from entresol_client.retry import DEFAULT, Retry, Throttle
from entresol_client.session import Session
from entresol_client.target import is_one_server, target_of

ChannelOptions = Sequence[tuple[str, Any]]

# A server that came back is found soon.
CHANNEL_OPTIONS: dict[str, Any] = {
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
    # Only while calls wait for a reply: servers close connections that ping without a reason.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    "grpc.max_send_message_length": 64 * 1024 * 1024,
}


def service_config(*, health_checks: bool) -> str:
    """Return how a channel shares calls out: to each server in turn, and to none that says it does not serve.

    It has no retry policy, for `Exchange` decides by the request what may be repeated; two who repeat would multiply.
    """
    health = {"healthCheckConfig": {"serviceName": ""}} if health_checks else {}
    return json.dumps({"loadBalancingConfig": [{"round_robin": {}}], **health})


class Wire:
    """A connection to the platform, shared by any number of clients; calls of all of them make one session.

    `target` is an address that gRPC understands (`host:9000`, `dns:///host:9000`, `unix:path`, `xds:///name`), several
    IP addresses with their ports, each a server, or a channel that stays the property of whoever made it. Without
    `credentials` nothing is encrypted. `timeout` (seconds, over all attempts), `retry` and `metadata` hold for every
    call that is told nothing else.

    `health_checks` leaves out servers that say they do not serve; without it, it is on where there may be several, and
    must be off where a proxy stands before them, for it asks one of them and takes its answer for all.
    `hedge_after_s` sends a read once more, to another server, when it has no answer by then: at most the share
    `hedge_share_max` of all reads. Of several addresses it is another for certain; of a name, if gRPC's turn has it so.
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
        health_checks: bool | None = None,
        hedge_after_s: float | None = None,
        hedge_share_max: float = 0.1,
        options: ChannelOptions = (),
    ) -> None:
        addresses = [] if isinstance(target, str) or not isinstance(target, Sequence) else target
        whole: Any = target_of(addresses) if addresses else target
        self._owned = isinstance(whole, str)
        if health_checks is None:
            health_checks = self._owned and not is_one_server(whole)
        options = [("grpc.service_config", service_config(health_checks=health_checks)), *options]
        self._channel = self._open(whole, credentials, options) if self._owned else whole
        # The channels that reads are hedged over; all else is balanced by gRPC.
        self._servers: tuple[Any, ...] = ()
        self._hedging: Hedging | None = None
        if hedge_after_s is not None:
            if len(addresses) > 1:
                self._servers = tuple(self._open(target_of([a]), credentials, options) for a in addresses)
            self._hedging = Hedging(hedge_after_s, hedge_share_max, max(1, len(self._servers)))
        self._defaults = Defaults(timeout, retry, tuple(metadata))
        self._throttle = Throttle()
        self._stubs: dict[tuple[str, int | None], Any] = {}
        self.session = session or Session()

    def with_session(self, session: Session) -> Self:
        """Return a connection over the same channels whose calls belong to `session`.

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

    def _stub(self, method: Method[RequestT, ReplyT], server: int | None = None) -> Any:
        """Return the callable of a method, made at its first call; of one server, if reads are hedged over several."""
        stub = self._stubs.get((method.path, server))
        if stub is None:
            channel = self._channel if server is None or not self._servers else self._servers[server]
            make = channel.unary_stream if method.server_streaming else channel.unary_unary
            stub = self._stubs[method.path, server] = make(
                method.path,
                request_serializer=method.request_class.SerializeToString,
                response_deserializer=method.reply_class.FromString,
            )
        return stub

    def _exchange(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> Exchange[RequestT, ReplyT]:
        return Exchange(method, request, options, self._defaults, self.session, self._throttle)
