"""What may be sent again when nobody knows whether the first attempt acted: for clients and balancers alike."""

from __future__ import annotations

import enum

from entresol.schema.model import Method

_OPERATIONS = "google.longrunning.Operations."
_READS = frozenset({f"{_OPERATIONS}GetOperation", f"{_OPERATIONS}ListOperations"})
_IDEMPOTENT = frozenset({f"{_OPERATIONS}WaitOperation", f"{_OPERATIONS}CancelOperation"})


class Repetition(enum.Enum):
    """What repeating a method does. An Update, Delete or Undelete is none of the first two by its nature.

    With an etag the second attempt is refused as stale; without one it may undo what somebody wrote between the two;
    and of what the first one deleted there is nothing left. Only the key makes the second answer that of the first.
    """

    READ = enum.auto()  # changes nothing and answers soon, so a second server may be asked at once
    IDEMPOTENT = enum.auto()  # twice is as once: its proto says so, or it is a stream of what is only read
    KEYED = enum.auto()  # acts once for each `request_id`
    UNSAFE = enum.auto()  # may act twice


def repetition_of(method: Method) -> Repetition:
    """Return what repeating a method does: what it declares counts first, then its key."""
    changes_nothing = method.safe or any(binding.verb == "GET" for binding in method.bindings)
    if method.full_name in _READS or (changes_nothing and not method.server_streaming):
        return Repetition.READ
    if method.full_name in _IDEMPOTENT or changes_nothing or method.idempotent:
        return Repetition.IDEMPOTENT
    return Repetition.KEYED if method.request_id else Repetition.UNSAFE
