"""What is told where RabbitMQ's library is not installed, or nobody says where RabbitMQ is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from entresol.config import environment_with

PROTOS = Path(__file__).parents[2] / "integration" / "events" / "protos"
WITHOUT = "import sys; sys.modules['aio_pika'] = None; from entresol.cli.main import main; main()"


def said(*arguments: str, program: tuple[str, ...] = ("-m", "entresol.cli.main"), **settings: str) -> str:
    environment = environment_with(protos=str(PROTOS), **settings)
    done = subprocess.run(
        (sys.executable, *program, *arguments),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stderr


@pytest.mark.parametrize("command", ["relay-jobs", "publish"])
def test_a_command_that_lacks_its_library_names_the_extra(command: str) -> None:
    wanted = "error: RabbitMQ needs aio-pika: install entresol[rabbitmq]\n"
    assert said(command, program=("-c", WITHOUT), rabbitmq_urls="amqp://127.0.0.1:1/") == wanted


@pytest.mark.parametrize("command", ["relay-jobs", "publish"])
def test_a_command_that_was_told_of_no_broker_names_the_setting(command: str) -> None:
    assert said(command) == "error: there is no RabbitMQ: set ENTRESOL_RABBITMQ_URLS\n"
