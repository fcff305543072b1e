"""Connect's conformance suite: every case for what `connect.yaml` says we support, and none is known to fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.interop.programs import BUILD_S, ROOT, built, module

from entresol.codegen.protos import compile_protos
from entresol.testing.servers import Database

HERE = Path(__file__).parent
CONFORMANCE, VERSION = "connectrpc.com/conformance", "v1.0.5"
RUN_S = 900.0
CASES_MIN = 1000  # so that a mistake in the configuration does not pass for success


@pytest.mark.timeout(BUILD_S + RUN_S)
def test_every_case_of_connects_suite_passes(system_database: Database, tmp_path: Path) -> None:
    runner = built(f"{CONFORMANCE}/cmd/connectconformance", VERSION)
    protos = tmp_path / "conformance.binpb"
    protos.write_bytes(compile_protos(module(f"{CONFORMANCE}@{VERSION}") / "proto"))
    server = (sys.executable, "-m", "tests.interop.connect_server", str(protos), system_database.write_url)
    configured = (str(runner), "--mode", "server", "--conf", str(HERE / "connect.yaml"))
    done = subprocess.run(
        (*configured, "--", *server), cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    total = re.search(r"^Total cases: (\d+)\n(\d+) passed, 0 failed", said, re.MULTILINE)
    assert total is not None, said
    assert int(total[1]) == int(total[2]) >= CASES_MIN
