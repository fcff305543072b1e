"""The job of a batch: read one moment, let an engine compute, and publish what came of it in one transaction."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from entresol.batches.definition import Batch, Run
from entresol.batches.engines import ENGINES, cluster_of, engine_for
from entresol.batches.plan import Plan, Rows, Running
from entresol.errors import EntresolError
from entresol.schema.model import Model, Resource
from entresol.storage.analytics import Analytics, open_analytics
from entresol.storage.batches import Computed, Generation, begin, fail, publish
from entresol.storage.job_ids import time_of
from entresol.storage.sql import name_of
from entresol.storage.sql_batch import (
    Source,
    mapped,
    parts_by_block,
    pushed_down,
    reduced,
    result_fields,
    source_of,
)

if TYPE_CHECKING:
    from entresol.service.jobs import Job

log = logging.getLogger(__name__)

RESPONSE = "entresol.ops.v1.BatchRun"
BLOCK_BYTES = 8192
PART_BYTES = 64 * 1024 * 1024  # of the input, about
PARTS_MIN, PARTS_MAX = 8, 1000


@dataclass(frozen=True, slots=True)
class BatchJob:
    """What runs a batch, for its method. The request's `key` and `engine` are used, where it has them."""

    batch: Batch

    async def run(self, request: Any, job: Job) -> Any:
        """Run the batch, unless an attempt before this one has published what it made."""
        batch, id_ = self.batch, job.claimed.attempt.id
        # Not the time of this attempt: one after midnight is for the same day.
        run = batch.run_of(getattr(request, "key", ""), job.tick_time or time_of(id_))
        async with job.transaction() as transaction:
            generation = await begin(transaction, batch.name, run.key, id_, job.attempt)
        if generation.state == "running":
            try:
                wanted = getattr(request, "engine", "") or batch.engine
                generation = await self._made(job, run, generation, wanted, transaction.commit_lsn)
            except Exception as error:
                await self._note(job, run, error)
                raise
        return _told(job, generation)

    async def _made(
        self, job: Job, run: Run, generation: Generation, wanted: str, at_least: int
    ) -> Generation:
        settings, resource = job.records.settings, job.resource(self.batch.result)
        async with open_analytics(
            settings, attempt=job.attempt, at_least=at_least, timeout_s=job.remaining_s()
        ) as analytics:
            source = source_for(job.model, self.batch, run)
            rows, size_bytes = await analytics.estimate(source.select())
            engine = engine_for(wanted, is_text=self.batch.is_text, rows=rows, settings=settings)
            plan = Plan(
                analytics.moment,
                await _reads(analytics, source, size_bytes),
                source.count(),
                *_texts(self.batch, source, resource),
                tuple(name_of(field) for field in result_fields(resource)),
                settings.batches_memory_bytes,
                settings.batches_folder,
            )
            running = Running(plan, analytics, job.report, cluster_of(engine, settings))
            log.info("%s of %s: about %d rows, by %s", self.batch.name, run.key, rows, engine)
            async with aclosing(ENGINES[engine](running)) as made:
                first = await anext(made, None) or ()  # a tuple as its default fails in Python 3.11
                job.report(95, "publishing")
                computed = Computed(engine, analytics.moment, _all(first, made), lambda: running.input_rows)
                async with job.transaction() as transaction:
                    return await publish(
                        transaction,
                        resource,
                        self.batch.parent_of(run),
                        generation,
                        computed,
                        job.remaining_s(),
                    )

    async def _note(self, job: Job, run: Run, error: Exception) -> None:
        """Write down why an attempt failed, if anything can be written now."""
        text = error.message if isinstance(error, EntresolError) else f"{type(error).__name__}: {error}"
        log.warning("%s of %s failed: %s", self.batch.name, run.key, text, exc_info=error)
        try:
            async with job.transaction() as transaction:
                await fail(transaction, self.batch.name, run.key, job.claimed.attempt.id, text)
        except EntresolError:
            log.warning("that %s of %s failed could not be written down", self.batch.name, run.key)


def source_for(model: Model, batch: Batch, run: Run) -> Source:
    """Return what a run reads."""
    resource = model.by_message.get(batch.source)
    names = {} if resource is None else {field.name: name_of(field) for field in resource.stored}
    window = None
    if run.start_time is not None and run.end_time is not None:
        window = (names.get(batch.window, batch.window), run.start_time, run.end_time)
    indexes = () if resource is None else resource.indexes
    return source_of(
        batch.source if resource is None else resource.table,
        [names.get(name, name) for name in batch.columns],
        batch.where,
        window,
        run.key,
        is_indexed=window is not None and any(index.columns[0][0] == window[0] for index in indexes),
    )


def _texts(batch: Batch, source: Source, resource: Resource) -> tuple[Any, Any, str | None]:
    if isinstance(batch.map, str) and isinstance(batch.reduce, str):
        whole = pushed_down(source, batch.map, batch.reduce, resource)
        return mapped(source, batch.map), reduced(source, batch.reduce, resource), whole
    return batch.map, batch.reduce, None


async def _reads(analytics: Analytics, source: Source, size_bytes: int) -> tuple[str, ...]:
    """Return the statements that read the input part by part: by its index where it has one, else by its blocks."""
    if source.key_column:
        count = min(max(size_bytes // PART_BYTES, PARTS_MIN), PARTS_MAX)
        return tuple(source.select(part) for part in source.parts_by_time(count))
    blocks = await analytics.blocks(source.table)
    count = min(max(blocks * BLOCK_BYTES // PART_BYTES, PARTS_MIN), PARTS_MAX)
    return tuple(source.select(part) for part in parts_by_block(blocks, max(1, -(-blocks // count))))


async def _all(first: Rows, others: AsyncIterator[Rows]) -> AsyncIterator[Rows]:
    yield first
    async for rows in others:
        yield rows


def _told(job: Job, generation: Generation) -> Any:
    told = job.new(
        RESPONSE,
        batch=generation.batch,
        key=generation.run_key,
        generation=generation.generation,
        state=f"BATCH_STATE_{generation.state.upper()}",
        engine=generation.engine,
        input_rows=generation.input_rows,
        output_rows=generation.output_rows,
        inserted_rows=generation.inserted_rows,
        updated_rows=generation.updated_rows,
        deleted_rows=generation.deleted_rows,
    )
    if generation.as_of_time is not None:
        told.as_of_time.FromDatetime(generation.as_of_time)
    return told
