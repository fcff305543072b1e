"""The model as a gRPC service config: how any gRPC client balances, watches health and repeats (gRFC A2, A6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from entresol.errors import InvalidArgumentError
from entresol.schema.model import Model
from entresol.schema.repetition import Repetition, repetition_of

Json: TypeAlias = Mapping[str, Any]

# RESOURCE_EXHAUSTED is repeated only after the delay that the server names, in `grpc-retry-pushback-ms`.
_TRANSIENT = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
_RETRY: Json = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "5s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": _TRANSIENT,
}
# Of attempts that fail a third may be repeated for good, and a hundred lost in one moment at once.
_THROTTLING: Json = {"maxTokens": 200, "tokenRatio": 0.5}
_HEDGED_ATTEMPTS = 2


def service_config(
    model: Model, *, keyed: bool = False, hedge_after_s: float = 0.0, health_checks: bool = True
) -> dict[str, Any]:
    """Return the config as what JSON holds.

    `keyed` also repeats writes that take a `request_id`: only for callers who send one with each. `hedge_after_s`
    sends a read once more when it has no answer by then, where the language can (Java, Node); elsewhere no read
    is repeated then. Methods that no entry names are repeated only where no server can have seen them, which gRPC
    knows and does by itself.
    """
    if hedge_after_s < 0:
        raise InvalidArgumentError.of("hedge_after_s", "must not be negative")
    names: dict[Repetition, list[Json]] = {kind: [] for kind in Repetition}
    for path, method in sorted(model.methods.items()):
        service, name = path.strip("/").split("/")
        names[repetition_of(method)].append({"service": service, "method": name})
    repeated = names[Repetition.IDEMPOTENT] + (names[Repetition.KEYED] if keyed else [])
    hedging = _hedging(hedge_after_s) if hedge_after_s else {"retryPolicy": _RETRY}
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        **({"healthCheckConfig": {"serviceName": ""}} if health_checks else {}),
        "retryThrottling": _THROTTLING,
        "methodConfig": list(
            _configs((names[Repetition.READ], hedging), (repeated, {"retryPolicy": _RETRY}))
        ),
    }


def _configs(*found: tuple[Sequence[Json], Json]) -> Iterator[Json]:
    """Yield an entry for each policy that has methods: gRPC refuses one without names."""
    for names, policy in found:
        if names:
            yield {"name": names, **policy}


def _hedging(after_s: float) -> Json:
    policy = {
        "maxAttempts": _HEDGED_ATTEMPTS,
        "hedgingDelay": f"{after_s:.9f}s",
        "nonFatalStatusCodes": _TRANSIENT,
    }
    return {"hedgingPolicy": policy}
