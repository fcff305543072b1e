"""Operations as the Python clients give them: waited for, looked at, cancelled; with real jobs, and a real worker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from entresol_ops.v1 import JobState
from entresol_stories.v1 import (
    AsyncCommentServiceClient,
    Comment,
    CommentServiceClient,
    Story,
    StoryServiceClient,
    User,
    UserServiceClient,
)

from entresol.testing.platforms import ServedPlatform
from entresol_client import AsyncConnection, CallCancelledError, Connection, Operation

ROOT = Path(__file__).resolve().parents[2]
COMMENTS, WAIT_S = 3, 60.0


@contextmanager
def worker(platform: ServedPlatform) -> Iterator[None]:
    process = subprocess.Popen(
        (sys.executable, "-m", "entresol.cli.main", "work"),
        env={
            **os.environ,
            "ENTRESOL_PROTOS": str(ROOT / "protos"),
            "ENTRESOL_DATABASE_WRITE": platform.database.write_url,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("working on ")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def story(platform: ServedPlatform) -> Iterator[tuple[Connection, str]]:
    """Give a connection, and the name of a story with comments."""
    with Connection(platform.address) as connection:
        user = UserServiceClient(connection).create_user(User(display_name="Ann"))
        made = StoryServiceClient(connection).create_story(Story(title="Discussed", author=user.name))
        comments = CommentServiceClient(connection)
        for number in range(COMMENTS):
            comments.create_comment(made.name, Comment(author=user.name, text=f"Number {number}"))
        yield connection, made.name


def test_a_result_is_waited_for(platform: ServedPlatform, story: tuple[Connection, str]) -> None:
    connection, name = story
    comments = CommentServiceClient(connection)
    with worker(platform):
        operation = comments.purge_comments(name, "*", force=True)
        assert operation.result(timeout=WAIT_S).purge_count == COMMENTS
    assert operation.done()
    assert operation.metadata().state == JobState.JOB_STATE_SUCCEEDED
    assert list(comments.list_comments(name, consistency="strong")) == []


def test_waiting_ends_in_time_and_the_operation_goes_on_until_it_is_cancelled(
    story: tuple[Connection, str],
) -> None:
    connection, name = story
    operation: Operation[Any, Any] = CommentServiceClient(connection).purge_comments(name, "*", force=True)
    with pytest.raises(TimeoutError, match=f"{operation.name} is not done yet"):
        operation.result(timeout=0.5)
    assert not operation.done()
    assert operation.metadata().state == JobState.JOB_STATE_READY
    operation.cancel()
    with pytest.raises(CallCancelledError, match="the job was cancelled"):
        operation.result(timeout=WAIT_S)
    assert operation.done()


async def test_a_loop_waits_for_many_at_once(platform: ServedPlatform, story: tuple[Connection, str]) -> None:
    _, name = story
    async with AsyncConnection(platform.address) as connection:
        comments = AsyncCommentServiceClient(connection)
        counts = await asyncio.gather(*(comments.purge_comments(name, "*") for _ in range(2)))
        purge = await comments.purge_comments(name, "*", force=True)
        with pytest.raises(TimeoutError):
            await purge.result(timeout=0.2)
        await purge.cancel()
        with worker(platform):
            results = await asyncio.gather(*(operation.result(timeout=WAIT_S) for operation in counts))
            with pytest.raises(CallCancelledError):
                await purge.result(timeout=WAIT_S)
        assert [result.purge_count for result in results] == [COMMENTS] * 2
        assert (await counts[0].metadata()).state == JobState.JOB_STATE_SUCCEEDED
