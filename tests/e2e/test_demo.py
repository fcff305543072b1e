"""The demo is a newcomer's first five minutes: it must show what it promises, on real input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRESOL = str(Path(sys.executable).parent / "entresol")


def demo(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [ENTRESOL, "demo", "--once", "--json", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@pytest.mark.timeout(180)
def test_the_tour_shows_cache_replica_and_primary_answering() -> None:
    facts = demo("--count", "3000")
    assert facts["import"]["loaded"] == 3000
    assert facts["import"]["rejected"] == 0
    by = {step["step"]: step["answered_by"] for step in facts["steps"]}
    assert by["list the 25 best stories"].startswith("replica:")
    assert by["read one, cold"].startswith("replica:")
    assert by["the same read, cached"] == "cache"
    assert by["and once more"] == "near"
    assert by["read your write"] == "cache"
    assert by["a list that must show the write"] == "primary"
    assert all(source.startswith("replica:") for source in by["kill a replica and read on"].split(", "))
    said = {step["step"]: step["detail"] for step in facts["steps"]}
    assert by["poll it until it is done"] == "a worker"
    assert "8 sites" in said["visits by referring site"]
    (suggested,) = (detail for step, detail in said.items() if step.startswith("suggest stories to users/"))
    assert int(suggested.partition(";")[0]) > 3
    assert said["kill one of two schedulers"].startswith("6 ticks")


@pytest.mark.timeout(180)
def test_a_users_own_file_is_loaded(tmp_path: Path) -> None:
    posts = tmp_path / "posts.csv"
    header = "id,title,url,num_points,num_comments,author,created_at\n"
    rows = [f"{number},Post {number},,{number},0,someone,2016-08-04 11:52\n" for number in range(50)]
    posts.write_text(header + "".join(rows) + 'x,"no, points",,many,0,someone,2016-08-04 11:52\n')
    facts = demo("--data", str(posts))
    assert (facts["import"]["loaded"], facts["import"]["rejected"]) == (50, 1)
    rejects = Path(facts["import"]["rejects"])
    line, field, problem = (ROOT / rejects).read_text().splitlines()[1].split(",", 2)
    (ROOT / rejects).unlink()
    assert (line, field) == ("52", "score")
    assert facts["steps"][-1]["step"] == "kill a replica and read on"  # without links there is no report
    assert "many" in problem
