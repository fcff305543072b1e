"""Which of several sources a setting comes from; a misspelt one would leave a default in force unseen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from entresol.config import STORES, Settings
from entresol.errors import ConfigurationError

FOUND = 'database_write = "postgresql://found/x"\ndatabase_read = ["postgresql://r/x"]\ncache_url = "unix://found"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder to be in, with nothing set."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ENTRESOL_")]:
        monkeypatch.delenv(name)
    STORES.parent.mkdir()
    return tmp_path


def test_a_default_of_a_command_gives_way_to_whatever_is_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = {"web_listen": "default:1"}
    assert Settings.load(defaults=defaults).web_listen == "default:1"
    (folder / "own.toml").write_text('web_listen = "file:1"')
    monkeypatch.setenv("ENTRESOL_CONFIG", "own.toml")
    assert Settings.load(defaults=defaults).web_listen == "file:1"
    monkeypatch.setenv("ENTRESOL_WEB_LISTEN", "")
    assert Settings.load(defaults=defaults).web_listen == ""
    assert Settings.load(defaults=defaults, web_listen="option:1").web_listen == "option:1"


@pytest.mark.usefixtures("folder")
def test_the_stores_that_run_here_are_found() -> None:
    STORES.write_text(FOUND)
    settings = Settings.load()
    found = (settings.database_write, settings.database_read, settings.cache_url)
    assert found == ("postgresql://found/x", ("postgresql://r/x",), "unix://found")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["DATABASE_WRITE", "DATABASE_READ", "CACHE_URL"])
def test_who_names_one_store_gets_no_other_from_here(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    STORES.write_text(FOUND)
    monkeypatch.setenv(f"ENTRESOL_{name}", "named")
    settings = Settings.load()
    assert "found" not in f"{settings.database_write} {settings.cache_url}"


@pytest.mark.usefixtures("folder")
def test_a_link_to_stores_that_are_gone_says_nothing() -> None:
    STORES.symlink_to("gone/stores.toml")
    assert Settings.load() == Settings()


@pytest.mark.usefixtures("folder")
def test_what_another_user_put_there_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    STORES.write_text(FOUND)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert Settings.load() == Settings()


@pytest.mark.usefixtures("folder")
def test_another_environment_has_no_stores_of_this_folder() -> None:
    STORES.write_text(FOUND)
    assert Settings.load({}) == Settings()


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
