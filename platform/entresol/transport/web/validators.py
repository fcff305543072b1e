"""The `etag` of what GET answers: a strong validator of these very bytes, which If-Match takes, too.

That of a record is `"<etag of the record>.<hash of the bytes>"`, so whoever sends it back says which record was read;
any other reply has the hash alone.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any

from entresol.schema.model import MethodKind, Role
from entresol.service.table import Route

_KNOWN_MAX, _KNOWN_BYTES_MAX = 2048, 4096  # as of the texts of JSON
_OF_RECORD = re.compile(r'"([^".]*)\.[^"]*"')


def validator(route: Route, message: bytes, body: bytes) -> str:
    """Return the validator of a reply, whose body is `message` or its JSON."""
    validate = _known if len(message) <= _KNOWN_BYTES_MAX else _validator
    return validate(_holder(route), message, body)


def record_etag(given: str) -> str:
    """Return the etag of the record that a validator is of; whatever is no such validator as it is."""
    found = _OF_RECORD.fullmatch(given)
    return f'"{found[1]}"' if found else given


def _holder(route: Route) -> Any:
    """Return the class of a reply that has an etag of a record: of a standard Get; else None."""
    method = route.method
    if method.kind is not MethodKind.GET or route.is_custom or method.resource is None:
        return None
    return method.output_class if Role.ETAG in method.resource.by_role else None


def _validator(holder: Any, message: bytes, body: bytes) -> str:
    etag = holder.FromString(message).etag.strip('"') if holder is not None else ""
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    return f'"{etag}.{digest}"' if etag else f'"{digest}"'


_known = lru_cache(maxsize=_KNOWN_MAX)(_validator)
