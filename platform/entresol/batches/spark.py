"""Spark Connect: parts are read and mapped by Spark's executors, which have this package and reach the database.

What an executor made is a row of Spark's: a pile, how many rows of the input it has read, and bytes. Spark brings the
rows of a pile together, on its disks where they are many, and one executor reduces them. The server keeps what it does
in memory: when it dies the run fails, and the queue makes another attempt. Tasks that die are done again by Spark, of
the same moment.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import groupby
from typing import Any

from entresol.batches.plan import Plan, Rows, Running
from entresol.batches.remote import map_rows, map_tables, portable, reduce_pile, reduce_tables
from entresol.batches.threads import Threads, threads
from entresol.errors import EntresolError, FailedPreconditionError, UnavailableError
from entresol.storage.arrow import required

EXTRA = "spark"
TRIES, PAUSE_MS_MAX = 6, 1000  # of a call that the server does not answer: within some five seconds
LEAVE_S = 2.5  # within what an attempt has that is told to end
RECORDS_OPTION = "spark.sql.execution.arrow.maxRecordsPerBatch"
RECORDS_AT_ONCE = 4  # that a process of Spark's is given, each of the size of a part
_FAILED = -1  # the pile of what cannot be done
_RETRY_S = 2.0
TEXT_MAX = 500
# What Spark says where its Python is not the image that it must be.
_OTHER_IMAGE = ("ModuleNotFoundError", "ImportError", "[PYTHON_VERSION_MISMATCH]")
Record = tuple[int, int, bytes]


async def on_spark(running: Running) -> AsyncGenerator[Rows]:
    """Give the result of SQL texts, or of functions."""
    plan = portable(running.plan)
    progress = _Progress(running)
    with _translated():
        async with _session(running.cluster) as (pool, session):
            session.registerProgressHandler(progress.heard)
            records = await pool.call(_begun, session, plan)
            while (record := await pool.call(next, records, None)) is not None:
                if record.pile == _FAILED:
                    raise pickle.loads(record.made)  # noqa: S301 - the cluster is trusted, as its users are
                progress.reduce()
                running.input_rows += record.rows
                yield pickle.loads(record.made)  # noqa: S301 - as above


def map_part(plan: Plan, batches: Iterable[Any]) -> Iterator[Any]:
    """Give what comes of the parts whose numbers are in the batches: runs in an executor."""
    for batch in batches:
        for number in batch.column(0).to_pylist():
            yield from _packed(_mapped(plan, plan.reads[number]))


def reduce_piles(plan: Plan, batches: Iterable[Any]) -> Iterator[Any]:
    """Give the result of piles, each of which is there as a whole, one after the other: runs in an executor."""
    records = (record for batch in batches for record in zip(*batch.to_pydict().values(), strict=True))
    for pile, own in groupby(records, key=lambda record: record[0]):
        yield from _packed(_reduced(plan, pile, own))


def _mapped(plan: Plan, text: str) -> Iterator[Record]:
    if plan.pushed_down is not None:
        rows, table = map_tables(plan, text)
        yield 0, rows, pickle.dumps(table)
        return
    rows, made = map_rows(plan, text)
    yield 0, rows, pickle.dumps([])
    for pile, pairs in made.items():
        yield pile, 0, pickle.dumps(pairs)


def _reduced(plan: Plan, pile: int, records: Iterable[Record]) -> Iterator[Record]:
    if pile == _FAILED:
        yield from records
        return
    rows = 0

    def made() -> Iterator[Any]:
        nonlocal rows
        for _, read, bytes_ in records:
            rows += read
            yield pickle.loads(bytes_)  # noqa: S301 - this run has made it

    is_text = plan.pushed_down is not None
    for some in reduce_tables(plan, made()) if is_text else [reduce_pile(plan, made())]:
        yield pile, 0, pickle.dumps(some)
    yield pile, rows, pickle.dumps([])


def _packed(records: Iterable[Record]) -> Iterator[Any]:
    """Give the records as Spark takes them. An error of ours is one, too: of others it would tell no more than text."""
    arrow = required("pyarrow", EXTRA)
    schema = arrow.schema([("pile", arrow.int32()), ("rows", arrow.int64()), ("made", arrow.binary())])
    try:
        for record in records:
            yield arrow.RecordBatch.from_pylist([dict(zip(schema.names, record, strict=True))], schema)
    except EntresolError as error:
        failed = {"pile": _FAILED, "rows": 0, "made": pickle.dumps(error)}
        yield arrow.RecordBatch.from_pylist([failed], schema)


def _begun(session: Any, plan: Plan) -> Iterator[Any]:
    """Return the records of the result, for which Spark works once they are asked for."""
    types = required("pyspark.sql.types", EXTRA)
    schema = (
        types.StructType()
        .add("pile", types.IntegerType())
        .add("rows", types.LongType())
        .add("made", types.BinaryType())
    )
    parts = session.range(0, len(plan.reads), 1, len(plan.reads))
    piles = parts.mapInArrow(partial(map_part, plan), schema).repartition("pile").sortWithinPartitions("pile")
    records: Iterator[Any] = piles.mapInArrow(partial(reduce_piles, plan), schema).toLocalIterator()
    return records


class _Progress:
    """Tells how many parts are mapped, as far as Spark tells it."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._loop = asyncio.get_running_loop()
        self._is_reducing = False

    def heard(self, stages: Any, **_: object) -> None:
        """Hear from Spark, in a thread."""
        if first := min(stages or (), key=lambda stage: stage.stage_id, default=None):
            self._loop.call_soon_threadsafe(self._tell, first.num_completed_tasks, first.num_tasks)

    def reduce(self) -> None:
        """Tell that every part is mapped."""
        if not self._is_reducing:
            self._is_reducing = True
            self._running.report(90, "reducing")

    def _tell(self, done: int, count: int) -> None:
        if self._is_reducing:
            return
        if done < count:
            self._running.read(done, 0)
        else:
            self.reduce()


@asynccontextmanager
async def _session(address: str) -> AsyncIterator[tuple[Threads, Any]]:
    """Give a session of its own, and threads to use it in. What it still does when the block ends is interrupted."""
    sql = required("pyspark.sql.connect.session", EXTRA)
    errors = required("pyspark.errors", EXTRA)
    retries = required("pyspark.sql.connect.client.retries", EXTRA)
    try:
        session = sql.SparkSession(address)
    except errors.PySparkValueError as error:
        raise FailedPreconditionError(f"ENTRESOL_BATCHES_SPARK is no address: {error}") from error
    session.client.set_retry_policies([retries.DefaultPolicy(TRIES, max_backoff=PAUSE_MS_MAX)])
    async with threads() as pool:
        try:
            # The first call, which tells whether there is a server.
            await pool.call(session.conf.set, RECORDS_OPTION, str(RECORDS_AT_ONCE))
            yield pool, session
        finally:
            await asyncio.shield(_left(pool, session))


async def _left(pool: Threads, session: Any) -> None:
    """Return once the session does nothing any more, or its server does not hear that it should not."""

    def leave() -> None:
        session.interruptAll()
        session.stop()

    session.client.set_retry_policies([])
    with suppress(Exception):
        await asyncio.wait_for(pool.call(leave), LEAVE_S)
    await asyncio.to_thread(session.client.close)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what Spark raises into errors that tell whether another attempt may help."""
    errors = required("pyspark.errors", EXTRA)
    try:
        yield
    except errors.PySparkException as error:
        lines = [line.strip() for line in str(error).splitlines()]
        if other := [line for line in lines if line.startswith(_OTHER_IMAGE)]:
            remedy = "let Spark's Python be that of the workers, with entresol[spark]"
            raise FailedPreconditionError(
                f"Spark cannot run what it is sent: {other[0]}; {remedy}"
            ) from error
        text = f"the Spark of ENTRESOL_BATCHES_SPARK failed: {' '.join(lines)[:TEXT_MAX]}"
        raise UnavailableError(text, retry_after_s=_RETRY_S) from error
