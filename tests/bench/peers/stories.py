"""What the peers have in common whatever they are made of: SQL, checks and the entries of a cache."""

from __future__ import annotations

import random
import re
from collections.abc import Collection

from tests.bench.peers.errors import InvalidError

WRITABLE = ("title", "url", "text", "score", "comment_count", "kind", "tags", "annotations", "post_time")
TEXT_LENGTH_MAX = {"title": 300, "url": 4096, "text": 65536}
TAGS_MAX = 100
TAG_LENGTH_MAX = 63
NAMES_MAX = 1000
PAGE_SIZE = 50
PAGE_SIZE_MAX = 1000
TTL_S = 300

GET = "SELECT * FROM stories WHERE name = $1"
BATCH_GET = "SELECT * FROM stories WHERE name = ANY($1)"
LIST = "SELECT * FROM stories WHERE name > $1 AND name >= $2 AND delete_time IS NULL ORDER BY name LIMIT $3"

_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_FILTER = re.compile(r'name >= "(stories/s[0-9]{8})"')


def update_statement(columns: Collection[str]) -> str:
    """Return the statement whose arguments are the name, the version in hexadecimal or "", and the values."""
    if not columns:
        raise InvalidError("update_mask: must not be empty")
    assignments = ", ".join(f"{column} = ${number}" for number, column in enumerate(columns, 3))
    return (
        f"UPDATE stories SET {assignments}, update_time = now(), version = version + 1"
        " WHERE name = $1 AND ($2 = '' OR $2 = lpad(to_hex(version), 16, '0')) RETURNING *"
    )


def create_statement(columns: Collection[str]) -> str:
    """Return the statement whose arguments are the name and the values."""
    columns = ("name", *columns)
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    return f"INSERT INTO stories ({', '.join(columns)}) VALUES ({places}) RETURNING *"


def etag_of(version: int) -> str:
    return f'"{version:016x}"'


def version_of(etag: str) -> str:
    """Return the version that the statement of an update compares with, in hexadecimal."""
    return etag.strip('"')


def lifetime_s() -> int:
    """Return how long one entry lives: what is cached together does not end together."""
    return random.randint(TTL_S - TTL_S // 10, TTL_S)


def name_of(story_id: str) -> str:
    """Return the name of a new story."""
    if not _ID.fullmatch(story_id):
        raise InvalidError("story_id: must be lower-case letters, digits and hyphens, a letter first")
    return f"stories/{story_id}"


def first_name(filter_text: str) -> str:
    """Return the name that a list begins with; every name is at or above ""."""
    if not filter_text:
        return ""
    found = _FILTER.fullmatch(filter_text)
    if found is None:
        raise InvalidError('filter: only name >= "stories/sNNNNNNNN"')
    return found[1]


def page_size_of(asked: int) -> int:
    if asked < 0:
        raise InvalidError("page_size: must not be negative")
    return min(asked or PAGE_SIZE, PAGE_SIZE_MAX)
