"""A client that learns the protos by reflection, shared by threads that all ask at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from entresol.testing.platforms import ServedPlatform
from entresol.transport.caller import Caller

THREADS, ROUNDS = 8, 5
METHODS = (
    "stories.v1.StoryService/GetStory",
    "stories.v1.CommentService/GetComment",
    "entresol.ops.v1.JobService/GetJob",
    "google.longrunning.Operations/GetOperation",
)
OUTPUTS = {"stories.v1.Story", "stories.v1.Comment", "entresol.ops.v1.Job", "google.longrunning.Operation"}


def test_threads_that_learn_of_services_at_once_learn_the_same(
    platform: ServedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FindFileByName", "FindFileContainingSymbol"):
        ask = getattr(ProtoReflectionDescriptorDatabase, name)

        def slowly(database: Any, what: str, ask: Any = ask) -> Any:
            time.sleep(0.001)  # so that others ask meanwhile
            return ask(database, what)

        monkeypatch.setattr(ProtoReflectionDescriptorDatabase, name, slowly)
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in range(ROUNDS):
            together = threading.Barrier(THREADS)
            with Caller(platform.address) as caller:

                def learn(
                    number: int, caller: Caller = caller, together: threading.Barrier = together
                ) -> str:
                    together.wait()
                    method = caller.method(METHODS[number % len(METHODS)])
                    return str(caller.new(method.output_type).DESCRIPTOR.full_name)

                assert {*threads.map(learn, range(THREADS))} == OUTPUTS
