"""Which database a query goes to: reads to the replica, all else to the primary."""

from __future__ import annotations

from typing import Any


class ReadsFromReplica:
    def db_for_read(self, *_: Any, **__: Any) -> str:
        return "replica"

    def db_for_write(self, *_: Any, **__: Any) -> str:
        return "default"

    def allow_relation(self, *_: Any, **__: Any) -> bool:
        return True
