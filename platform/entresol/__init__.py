"""Entresol: the floor between the front ends and the databases. This is the public API, and all of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from entresol.app import Platform
    from entresol.config import Settings
    from entresol.errors import (
        AlreadyExistsError,
        ConflictError,
        EntresolError,
        FailedPreconditionError,
        InvalidArgumentError,
        NotFoundError,
        PermissionDeniedError,
        StaleEtagError,
        UnavailableError,
    )
    from entresol.service.call import Call, Caller
    from entresol.service.jobs import Job
    from entresol.service.registry import Context, authorizer, batch, job, method, operators, schedule
    from entresol.storage.transaction import Transaction

# Where each name lives. They are imported when first used, so that `import entresol` costs nothing.
_HOMES = {
    "AlreadyExistsError": "entresol.errors",
    "Call": "entresol.service.call",
    "Caller": "entresol.service.call",
    "ConflictError": "entresol.errors",
    "Context": "entresol.service.registry",
    "EntresolError": "entresol.errors",
    "FailedPreconditionError": "entresol.errors",
    "InvalidArgumentError": "entresol.errors",
    "Job": "entresol.service.jobs",
    "NotFoundError": "entresol.errors",
    "PermissionDeniedError": "entresol.errors",
    "Platform": "entresol.app",
    "Settings": "entresol.config",
    "StaleEtagError": "entresol.errors",
    "Transaction": "entresol.storage.transaction",
    "UnavailableError": "entresol.errors",
    "authorizer": "entresol.service.registry",
    "batch": "entresol.service.registry",
    "job": "entresol.service.registry",
    "method": "entresol.service.registry",
    "operators": "entresol.service.registry",
    "schedule": "entresol.service.registry",
}

__all__ = [
    "AlreadyExistsError",
    "Call",
    "Caller",
    "ConflictError",
    "Context",
    "EntresolError",
    "FailedPreconditionError",
    "InvalidArgumentError",
    "Job",
    "NotFoundError",
    "PermissionDeniedError",
    "Platform",
    "Settings",
    "StaleEtagError",
    "Transaction",
    "UnavailableError",
    "authorizer",
    "batch",
    "job",
    "method",
    "operators",
    "schedule",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home (PEP 562)."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'entresol' has no attribute {name!r}")
