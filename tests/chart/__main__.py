"""`make chart`: every check of the chart and the image, a line for each, and how many found something."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("tests/unit/helm", "tests/chart")


class Lines:
    """Prints a line for a check once its last case is over, and counts."""

    def __init__(self) -> None:
        self.left: dict[str, int] = defaultdict(int)
        self.cases: dict[str, int] = defaultdict(int)
        self.findings: dict[str, list[str]] = defaultdict(list)
        self.skipped: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Hear of the cases from any of the processes that run them (`-n 2`): each collects all."""
        if not self.cases:
            self._expect(ids)

    def _expect(self, ids: Iterable[str]) -> None:
        for nodeid in ids:
            self.left[_check(nodeid)] += 1
            self.cases[_check(nodeid)] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        check = _check(report.nodeid)
        if report.failed:
            self.findings[check].append(f"{report.nodeid}\n{report.longreprtext}")
        if report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[check].add(report.longrepr[2])
        if report.when == "teardown":
            self.left[check] -= 1
            if not self.left[check]:
                self._print(check)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.findings[report.nodeid].append(report.longreprtext)
            print(report.longreprtext)

    def _print(self, check: str) -> None:
        verdict = "FOUND" if self.findings[check] else "skip" if self.skipped[check] else "ok"
        print(f"{verdict:5} {self.cases[check]:3}  {check}", flush=True)
        for text in (*self.findings[check], *self.skipped[check]):
            print("           " + text.replace("\n", "\n           "), flush=True)

    def close(self) -> None:
        found = sum(map(len, self.findings.values()))
        skipped = sum(map(bool, self.skipped.values()))
        cases = sum(self.cases.values())
        print(f"{len(self.cases)} checks of {cases} cases: {found} findings, {skipped} checks left out")


def _check(nodeid: str) -> str:
    """Return the sentence that a test is named by."""
    return nodeid.partition("::")[2].partition("[")[0].removeprefix("test_").replace("_", " ")


def main(arguments: list[str]) -> int:
    """Run the checks; arguments are pytest's own."""
    lines = Lines()
    places = [str(ROOT / place) for place in PLACES]
    flags = (
        "-o",
        "addopts=--import-mode=importlib -p no:valkey",
        "-p",
        "no:terminal",
        "-p",
        "no:cacheprovider",
    )
    code = pytest.main([*places, *flags, *arguments], plugins=[lines])
    lines.close()
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
