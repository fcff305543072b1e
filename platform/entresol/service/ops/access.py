"""Who may call `entresol.ops.v1`: whom the policy of operators knows, and without one nobody."""

from __future__ import annotations

from entresol.errors import PermissionDeniedError
from entresol.service.call import Call

PACKAGE = "entresol.ops.v1"
LIST_OPERATIONS = "google.longrunning.Operations.ListOperations"


def is_ops(full_name: str) -> bool:
    """Tell whether a method or message is one of the platform's own API."""
    return full_name.startswith(f"{PACKAGE}.")


def nobody(_request: object, call: Call) -> bool:
    """Refuse every call, and tell how they are allowed."""
    raise PermissionDeniedError(
        f"{call.method.full_name} is for operators, and nobody has said who is one: do so with @entresol.operators",
        metadata={"method": call.method.full_name},
    )
