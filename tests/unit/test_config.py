"""Settings that nobody reads are told of: a misspelt variable would leave a default in force unseen."""

from __future__ import annotations

import pytest

from entresol.config import Settings
from entresol.errors import ConfigurationError


def test_a_misspelt_variable_is_warned_of_with_the_nearest_setting(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.load({"ENTRESOL_CONCURENCY_MAX": "5"})
    assert settings == Settings()
    assert caplog.messages == [
        "ENTRESOL_CONCURENCY_MAX is not a setting and is ignored; did you mean ENTRESOL_CONCURRENCY_MAX?"
    ]


def test_a_variable_that_is_near_no_setting_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    Settings.load({"ENTRESOL_XYZZY": "5"})
    assert caplog.messages == [
        "ENTRESOL_XYZZY is not a setting and is ignored; `entresol serve --help-settings` lists them"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "ENTRESOL_POSTGRES_BIN",
        "ENTRESOL_REDIS_BIN",
        "ENTRESOL_SERVICE_HOST",
        "ENTRESOL_SERVICE_PORT_GRPC",
        "ENTRESOL_PORT",
        "ENTRESOL_WEB_PORT_9080_TCP_ADDR",
        "OTEL_TRACES_SAMPLER",
    ],
)
def test_settings_and_the_links_of_kubernetes_are_not(name: str, caplog: pytest.LogCaptureFixture) -> None:
    Settings.load({name: "x"})
    assert caplog.messages == []


def test_a_misspelt_key_of_the_file_is_refused(tmp_path: object) -> None:
    file = f"{tmp_path}/entresol.toml"
    with open(file, "w", encoding="utf-8") as written:
        written.write("concurency_max = 5\n")
    with pytest.raises(ConfigurationError, match="concurency_max is not a setting"):
        Settings.load({"ENTRESOL_CONFIG": file})
