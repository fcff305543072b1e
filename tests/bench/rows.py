"""The stories that are asked for: about 1 KiB each, the same in every system's table, made from the seed."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

AUTHOR = "users/bench"
TEXT = " ".join(["a-story-of-about-as-many-bytes-as-those"] * 18)  # of a new story: that makes about 1 KiB
LINE_BYTES = 33
TEXT_LINES = (22,)  # of the texts of rows that are filled in, in turn: with the rest, about 1 KiB
STATEMENT_TIMEOUT_S = 300.0

# {uid} is the type that the system keeps uids in.
FILL = """
INSERT INTO stories (name, uid, title, url, text, author, score, comment_count, kind, tags,
                     post_time, create_time, update_time)
SELECT 'stories/s' || lpad(number::text, 8, '0'),
       md5(concat_ws(':', $2::text, number))::uuid::{uid},
       'Title of story ' || number || ', which is of an ordinary length',
       'https://stories.example/articles/' || number || '/and-a-few-words',
       (SELECT string_agg(md5(concat_ws(':', $2::text, number, line)), ' ')
        FROM generate_series(1, ($4::integer[])[1 + number % array_length($4::integer[], 1)]) line),
       $3, number % 500, number % 90, 1, ARRAY['first', 'second', 'third'],
       timestamptz '2024-01-01' + number * interval '1 minute', now(), now()
FROM generate_series(0, $1::integer - 1) number
"""


def name_of(number: int) -> str:
    """Return the resource name of one row."""
    return f"stories/s{number:08d}"


async def fill(
    connection: asyncpg.Connection, rows: int, seed: int, *, uid_type: str, lines: Sequence[int] = TEXT_LINES
) -> None:
    """Write the rows, with so many `lines` in turn; leave the table as a running system has it, analysed."""
    text = FILL.format(uid=uid_type)
    await connection.execute(text, rows, str(seed), AUTHOR, lines, timeout=STATEMENT_TIMEOUT_S)
    await connection.execute("VACUUM ANALYZE stories", timeout=STATEMENT_TIMEOUT_S)
