"""What a single call may be told beside its request, and how that travels: as gRPC metadata."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from google.protobuf.field_mask_pb2 import FieldMask

from entresol_client.retry import Retry

Metadata = Sequence[tuple[str, str | bytes]]
Mask = FieldMask | str | Iterable[str]  # text: paths with commas between

SESSION_KEY = "entresol-session"
CONSISTENCY_KEY = "entresol-consistency"
READ_MASK_KEY = "entresol-read-mask"
ANSWERED_BY_KEY = "entresol-answered-by"
TRACE_KEY = "entresol-trace"
ROUTING_KEY = "x-goog-request-params"  # AIP-4222
IDEMPOTENCY_KEY = "x-idempotency-key"  # by which a proxy sees that it may send a write again


class Consistency(enum.StrEnum):
    """What a read promises."""

    # A value that was committed, however old; what this session has seen does not count.
    EVENTUAL = "eventual"
    # At most as old as the server allows (usually milliseconds, up to seconds), and what this session has seen counts.
    BOUNDED = "bounded"
    # Never older than what this session wrote or was shown; from its first call on, not only from its first write.
    SESSION = "session"
    # The last write that was acknowledged, where the resource is declared so; of any other, what the primary has.
    STRONG = "strong"


class CallOptions(TypedDict, total=False):
    """Keyword arguments of every method, beside the fields of its request.

    `timeout` is in seconds, over all attempts together; absent or None: the connection's. A method that
    streams has none unless it is given here. `retry` absent or None: the connection's; `NEVER`: a single
    attempt. `metadata` is sent as it is. `read_mask` names the fields of the resource to return; absent: all.
    `consistency` absent: what the method or resource promises.
    """

    timeout: float | None
    retry: Retry | None
    metadata: Metadata
    read_mask: Mask | None
    consistency: Consistency | str | None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a connection does when a call is told nothing else."""

    timeout: float
    retry: Retry
    metadata: Metadata


def checked(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options; TypeError names one that does not exist, as Python does for arguments."""
    unknown = sorted(options.keys() - CallOptions.__annotations__.keys())
    if unknown:
        known = ", ".join(CallOptions.__annotations__)
        raise TypeError(f"{unknown[0]!r} is neither a field of the request nor one of {known}")
    return options


def paths_of(mask: Mask) -> list[str]:
    """Return the paths of a mask."""
    if isinstance(mask, FieldMask):
        return list(mask.paths)
    paths = mask.split(",") if isinstance(mask, str) else mask
    return [path.strip() for path in paths if path.strip()]


def metadata_of(options: Mapping[str, Any]) -> Metadata:
    """Return the metadata that carries these options."""
    pairs = list(options.get("metadata") or ())
    mask = options.get("read_mask")
    if mask is not None:
        pairs.append((READ_MASK_KEY, ",".join(paths_of(mask))))
    consistency = options.get("consistency")
    if consistency is not None:
        pairs.append((CONSISTENCY_KEY, Consistency(consistency).value))
    return pairs


def values_of(metadata: Metadata, key: str) -> list[Any]:
    """Return every value of a key, in order."""
    return [value for found, value in metadata if found == key]
