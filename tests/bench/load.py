"""The load generator: a process of its own that keeps 32 calls in flight and measures each one.

It reads one JSON request per line, `{"method", "story_numbers", "round"}`, makes those calls and answers with
one JSON line of what it saw. Its own CPU is not counted: it runs beside the stores, off the server's core.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import grpc
from tests.bench.rows import name_of

messages = grpc.protos("tests/bench/peers/stories.proto")

CONNECTIONS = 4
DEADLINE_S = 10.0
ANSWERED_BY = "entresol-answered-by"


def get_request(number: int, _round: str) -> bytes:
    return bytes(messages.GetStoryRequest(name=name_of(number)).SerializeToString())


def update_request(number: int, round_name: str) -> bytes:
    request = messages.UpdateStoryRequest(
        story=messages.Story(name=name_of(number), title=f"Title of story {number} in round {round_name}")
    )
    request.update_mask.paths.append("title")
    return bytes(request.SerializeToString())


REQUESTS: dict[str, Callable[[int, str], bytes]] = {"GetStory": get_request, "UpdateStory": update_request}


class Run:
    """Some calls of one method, a fixed number of them in flight."""

    def __init__(self, methods: list[Any], requests: Iterable[tuple[bytes, bytes]], in_flight: int) -> None:
        self._methods = methods
        self._requests = iter(requests)
        self._lock = threading.Lock()
        self._left = in_flight
        self._done = threading.Event()
        self._in_flight = in_flight
        self.latencies_s: list[float] = []
        self.codes: Counter[str] = Counter()
        self.answered_by: Counter[str] = Counter()

    def run(self) -> float:
        """Make the calls and return the seconds they took."""
        start_s = time.perf_counter()
        for caller in range(self._in_flight):
            self._next(caller)
        self._done.wait()
        return time.perf_counter() - start_s

    def _next(self, caller: int) -> None:
        with self._lock:
            pair = next(self._requests, None)
            if pair is None:
                self._left -= 1
                if not self._left:
                    self._done.set()
                return
        request, name = pair
        start_s = time.perf_counter()
        call = self._methods[caller % len(self._methods)].future(request, timeout=DEADLINE_S)
        call.add_done_callback(lambda future: self._finish(future, caller, name, start_s))

    def _finish(self, call: Any, caller: int, name: bytes, start_s: float) -> None:
        self.latencies_s.append(time.perf_counter() - start_s)
        code = call.code().name
        if code == "OK" and name not in call.result():
            code = "WRONG_ANSWER"
        self.codes[code] += 1
        for key, value in call.trailing_metadata() or ():
            if key == ANSWERED_BY:
                self.answered_by[value.partition(":")[0]] += 1
        self._next(caller)


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of the sorted values does not exceed."""
    return values[min(len(values) - 1, int(len(values) * share))]


def serve(address: str, in_flight: int) -> None:
    """Answer requests from standard input until it ends."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),  # else all channels share one connection
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 100),
    ]
    channels = [grpc.insecure_channel(address, options) for _ in range(CONNECTIONS)]
    for channel in channels:
        grpc.channel_ready_future(channel).result(timeout=30)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        method = asked["method"]
        calls = [channel.unary_unary(f"/stories.v1.StoryService/{method}") for channel in channels]
        numbers = asked["story_numbers"]
        requests = [
            (REQUESTS[method](number, asked["round"]), name_of(number).encode()) for number in numbers
        ]
        run = Run(calls, requests, min(in_flight, len(requests)))
        elapsed_s = run.run()
        latencies_s = sorted(run.latencies_s)
        answer = {
            "calls": len(latencies_s),
            "elapsed_s": elapsed_s,
            "p50_ms": percentile(latencies_s, 0.5) * 1000,
            "p99_ms": percentile(latencies_s, 0.99) * 1000,
            "codes": run.codes,
            "answered_by": run.answered_by,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--in-flight", type=int, default=32)
    arguments = parser.parse_args()
    serve(arguments.address, arguments.in_flight)
