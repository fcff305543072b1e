"""The gRPC service config says per method what the model says, and what the Python clients do."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from entresol.cli.generate import command
from entresol.codegen.protos import compile_protos
from entresol.codegen.service_config import service_config
from entresol.errors import InvalidArgumentError
from entresol.schema.load import load
from entresol.schema.model import Model
from entresol_client import Method, Retry
from entresol_client.retry import TOKENS_MAX, TOKENS_RATIO
from entresol_client.wire import service_config as channel_config

ROOT = Path(__file__).resolve().parents[3]
GENERATED = ROOT / "clients" / "python" / "src" / "gen"
READS = ("Get", "BatchGet", "List", "Suggest")
STORY = "/stories.v1.StoryService"
OPERATIONS = "/google.longrunning.Operations"


@pytest.fixture(scope="module")
def model() -> Model:
    return load(compile_protos(ROOT / "protos"))


def policies(config: dict[str, Any]) -> dict[str, Any]:
    """Return the policy of each method that has one, by path."""
    found: dict[str, Any] = {}
    for entry in config["methodConfig"]:
        (policy,) = (value for key, value in entry.items() if key != "name")
        for name in entry["name"]:
            path = f"/{name['service']}/{name['method']}"
            assert path not in found, "gRPC refuses a config that names a method twice"
            found[path] = policy
    return found


def python_methods() -> dict[str, Method[Any, Any]]:
    """Return the methods of every generated client, by path."""
    modules = (
        importlib.import_module(".".join(path.relative_to(GENERATED).with_suffix("").parts))
        for path in GENERATED.rglob("*_service.py")
    )
    found = (value for module in modules for value in vars(module).values() if isinstance(value, Method))
    return {method.path: method for method in found}


def test_reads_are_repeated_and_writes_are_not(model: Model) -> None:
    found = policies(service_config(model))
    for path in model.methods:
        verb = path.rpartition("/")[2]
        if path.startswith("/google."):
            continue
        assert (path in found) is verb.startswith(READS), path


def test_writes_with_a_key_are_repeated_for_callers_who_send_it(model: Model) -> None:
    found = policies(service_config(model, keyed=True))
    keyed = {f"{STORY}/{verb}Story" for verb in ("Create", "Update", "Delete", "Undelete")}
    assert keyed <= found.keys()
    assert not {f"{STORY}/VoteStory", f"{STORY}/BatchCreateStories"} & found.keys()


def test_operations_are_asked_again(model: Model) -> None:
    found = policies(service_config(model))
    asked = {path.rpartition("/")[2] for path in found if path.startswith(OPERATIONS)}
    assert asked == {"GetOperation", "ListOperations", "WaitOperation", "CancelOperation"}


def test_the_policy_is_that_of_the_python_clients(model: Model) -> None:
    config, retry = service_config(model), Retry()
    assert policies(config)[f"{STORY}/GetStory"] == {
        "maxAttempts": retry.attempts,
        "initialBackoff": f"{retry.initial_s:g}s",
        "maxBackoff": f"{retry.max_s:g}s",
        "backoffMultiplier": retry.multiplier,
        "retryableStatusCodes": ("UNAVAILABLE", "RESOURCE_EXHAUSTED"),
    }
    assert config["retryThrottling"] == {"maxTokens": TOKENS_MAX, "tokenRatio": TOKENS_RATIO}
    for health_checks in (False, True):
        whole = service_config(model, health_checks=health_checks)
        channel = json.loads(channel_config(health_checks=health_checks))
        assert channel.items() <= whole.items()


def test_the_python_clients_repeat_the_same_methods(model: Model) -> None:
    methods = python_methods()
    for keyed in (False, True):
        found = policies(service_config(model, keyed=keyed))
        for path, method in methods.items():
            repeated = method.read or method.idempotent or (keyed and bool(method.request_id))
            assert repeated is (path in found), path


def test_only_reads_are_hedged(model: Model) -> None:
    found = policies(service_config(model, keyed=True, hedge_after_s=0.25))
    hedged = {path for path, policy in found.items() if policy.get("hedgingDelay") == "0.250000000s"}
    assert hedged == {path for path, method in python_methods().items() if method.read} | {
        f"{OPERATIONS}/GetOperation",
        f"{OPERATIONS}/ListOperations",
    }


def test_a_delay_that_makes_no_sense_is_refused(model: Model) -> None:
    with pytest.raises(InvalidArgumentError):
        service_config(model, hedge_after_s=-1.0)


def test_the_command_writes_it(tmp_path: Path) -> None:
    out = tmp_path / "config.json"
    arguments = ["service-config", "--out", str(out), "--protos", str(ROOT / "protos"), "--no-health-checks"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.output == f"wrote {out}\n"
    written = json.loads(out.read_text())
    assert written["loadBalancingConfig"] == [{"round_robin": {}}]
    assert "healthCheckConfig" not in written
