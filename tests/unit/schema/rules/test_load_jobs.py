"""Options of jobs: how they are read, and numbers that no job can have."""

from __future__ import annotations

import pytest

from entresol.schema.load import load
from entresol.schema.model import JobLimit

PRINT = "rpc PrintBook(PrintBookRequest) returns (google.longrunning.Operation) {"


def job(options: str) -> tuple[str, str]:
    return PRINT, f"{PRINT} option (entresol.options.v1.method) = {{job: {{{options}}}}};"


def limit(library_set: bytes) -> JobLimit | None:
    policy = load(library_set).methods["/library.v1.LibraryService/PrintBook"].job
    assert policy is not None
    return policy.limit


@pytest.mark.edits(job('queue: "slow"'))
def test_a_job_has_no_limit_of_itself(library_set: bytes) -> None:
    assert limit(library_set) is None


@pytest.mark.edits(job("concurrency: 3 rate: {starts: 30 per: {seconds: 60}}"))
def test_a_rate_is_a_second_s_and_all_of_it_may_begin_at_once(library_set: bytes) -> None:
    assert limit(library_set) == JobLimit(3, 0.5, 30)


@pytest.mark.edits(job("rate: {starts: 20 burst: 2}"))
def test_a_rate_with_a_burst(library_set: bytes) -> None:
    assert limit(library_set) == JobLimit(0, 20.0, 2)


@pytest.mark.edits(job("concurrency: -1 queue_max: -1 rate: {burst: -1 per: {seconds: -1}}"))
def test_limits_that_cannot_be_kept(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/job LibraryService.PrintBook: job.concurrency is -1",
        "entresol/job LibraryService.PrintBook: job.queue_max is -1",
        "entresol/job LibraryService.PrintBook: job.rate.burst is -1",
        "entresol/job LibraryService.PrintBook: job.rate.per cannot be kept",
        "entresol/job LibraryService.PrintBook: job.rate.starts is 0",
    ]
