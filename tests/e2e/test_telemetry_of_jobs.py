"""What a server and a worker tell a collector of one job."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.e2e.collector import collecting
from tests.integration.jobs.conftest import (
    ENTRESOL,
    FUNCTIONS,
    SERVICE,
    Workshop,
    environment,
    workshop,
    workshop_ready,
)

from entresol.transport.caller import Caller

__all__ = ["workshop", "workshop_ready"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
METRICS = {
    "entresol.jobs.attempt.duration",
    "entresol.jobs.wait",
    "entresol.jobs.running",
    "entresol.jobs.ready",
    "entresol.jobs.ready.age",
}


@contextmanager
def _process(command: list[str], variables: dict[str, str]) -> Iterator[str]:
    """Give the first line of a process that ends with the test."""
    process = subprocess.Popen([ENTRESOL, *command], env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.timeout(90)
def test_a_job_is_in_the_trace_of_who_began_it(workshop: Workshop) -> None:
    settings = dataclasses.replace(workshop.settings, functions=FUNCTIONS)
    with collecting() as collector:
        variables = environment(settings) | collector.environment
        with (
            _process(["serve"], variables) as served,
            _process(["work", "--queue", "tasks"], variables),
            Caller(re.findall(r"127\.0\.0\.1:\d+", served)[0]) as caller,
        ):
            headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            request = {"label": "a", "failures": 1}
            name = caller.call(f"{SERVICE}/RunTask", request, headers).reply.name
            workshop.wait(name)

            def attempts() -> list[object]:
                return [span for span in collector.spans if span.name == f"{SERVICE}.RunTask"]

            assert collector.wait_until(lambda: len(attempts()) == 2)
            begun = next(span for span in collector.spans if span.name == f"{SERVICE}/RunTask")
            told = [
                (
                    span.trace_id.hex(),
                    span.parent_span_id == begun.span_id,
                    {one.key: one.value.string_value or one.value.int_value for one in span.attributes},
                )
                for span in attempts()
            ]
            common = {
                "entresol.job": name.removeprefix("operations/"),
                "entresol.job.kind": f"{SERVICE}.RunTask",
            }
            assert told == [
                (TRACE, True, common | {"entresol.job.attempt": number, "entresol.outcome": outcome})
                for number, outcome in ((1, "failed"), (2, "succeeded"))
            ]
            assert collector.wait_until(lambda: collector.metrics >= METRICS), METRICS - collector.metrics


@pytest.mark.timeout(90)
def test_what_an_isolated_job_asks_of_the_database_is_below_its_attempt(workshop: Workshop) -> None:
    settings = dataclasses.replace(workshop.settings, functions=FUNCTIONS)
    with (
        collecting() as collector,
        _process(["work", "--queue", "tasks"], environment(settings) | collector.environment),
    ):
        workshop.wait(str(workshop.api.call("CrunchTask", label="a").name))

        def below() -> set[bytes]:
            ids = {span.span_id for span in collector.spans if span.name == f"{SERVICE}.CrunchTask"}
            for name in ("entresol.jobs.isolated", "entresol.storage.statement"):
                ids = {
                    span.span_id
                    for span in collector.spans
                    if span.name == name and span.parent_span_id in ids
                }
            return ids

        assert collector.wait_until(lambda: len(below()) > 0)
