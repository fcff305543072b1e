"""Who may use the console: names that are not ours, forms of other sites, and writes where one may only read."""

from __future__ import annotations

import dataclasses

import pytest
from tests.integration.console.conftest import Shown

from entresol.config import Settings
from entresol.console.access import Guard, console_at_home, mode_of
from entresol.errors import ConfigurationError
from entresol.transport.web.exchange import Request

ANN = {"field.account_id": "ann", "field.mail": "ann@example.com"}
FORM = "/console/resources/accounts.v1.Account/new"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "0.0.0.0:9464", ""]
)
def test_a_name_that_is_not_ours_is_refused(accounts: Shown, host: str) -> None:
    page = accounts.browser.get("/console/", host=host)
    assert page.status == 421
    assert "tunnel" in page.text
    assert "Topology" not in page.body


@pytest.mark.parametrize("host", ["localhost:9464", "127.0.0.1", "[::1]:9464", "LOCALHOST"])
def test_names_of_this_machine_are_answered(accounts: Shown, host: str) -> None:
    assert accounts.browser.get("/console/", host=host).status == 200


def test_only_a_page_of_the_console_may_send_its_forms(accounts: Shown) -> None:
    browser = accounts.browser
    assert "another origin" in browser.post(FORM, ANN, origin="http://evil.example").text
    assert "another origin" in browser.post(FORM, ANN, origin="null").text
    assert "another origin" in browser.post(FORM, ANN, origin=f"http://localhost:{browser.address[10:]}").text
    assert "another site" in browser.post(FORM, ANN, sec_fetch_site="cross-site").text
    assert "another site" in browser.post(FORM, ANN, sec_fetch_site="same-site").text
    assert "too old" in browser.post(FORM, {**ANN, "token": "guessed"}).text
    assert "too old" in browser.send_form(FORM, ANN).text, "there is no token in it"
    assert browser.post(FORM, {**ANN, "token": "gérant"}).status == 403
    assert browser.get("/console/resources/accounts.v1.Account/record?name=accounts/ann").status == 404


def test_a_console_that_reads_refuses_every_form_that_changes_something(read_accounts: Shown) -> None:
    browser = read_accounts.browser
    forms = [
        FORM,
        "/console/resources/accounts.v1.Account/edit",
        "/console/resources/accounts.v1.Account/delete",
        "/console/jobs/retry",
        "/console/jobs/purge",
        "/console/jobs/01a20979-05c0-70d9-a7b4-e6897f3b2e9f/cancel",
        "/console/jobs/01a20979-05c0-70d9-a7b4-e6897f3b2e9f/retry",
        "/console/jobs/01a20979-05c0-70d9-a7b4-e6897f3b2e9f/purge",
        "/console/queues/default/pause",
        "/console/queues/default/resume",
        "/console/schedules/one/pause",
        "/console/schedules/one/resume",
        "/console/schedules/one/run",
    ]
    for form in forms:
        page = browser.post(form, ANN)
        assert (page.status, "this console only reads" in page.text) == (403, True), form
    call = {"method": "/accounts.v1.AccountService/CreateAccount", "request": '{"account": {"mail": "x"}}'}
    page = browser.post("/console/playground", call)
    assert page.status == 403
    assert "may change something" in page.text


def test_a_form_by_the_query_changes_nothing(accounts: Shown) -> None:
    assert accounts.browser.get(f"{FORM}?field.account_id=ann&field.mail=m").status == 200
    assert (
        accounts.browser.get("/console/resources/accounts.v1.Account/record?name=accounts/ann").status == 404
    )


def test_pages_may_load_nothing_from_elsewhere_and_be_in_no_frame(accounts: Shown) -> None:
    for path in (
        "/console/",
        "/console/static/console.js",
        "/console/static/console.css",
        "/console/missing",
    ):
        headers = accounts.browser.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def settings(**changes: str) -> Settings:
    return dataclasses.replace(
        Settings(), **{"admin_listen": "127.0.0.1:9464", "console": "write", **changes}
    )  # type: ignore[arg-type]  # all are text


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9464", ":9464", "[::]:9464", "10.1.2.3:9464", "admin.example:9464"]
)
def test_writes_are_refused_where_other_machines_reach_the_port(address: str) -> None:
    with pytest.raises(ConfigurationError, match="callers are not authenticated"):
        mode_of(settings(admin_listen=address))
    assert mode_of(settings(admin_listen=address, console="read")) == "read"


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:9464", "[::1]:9464", "127.8.9.1:1"])
def test_writes_are_allowed_on_loopback_addresses(address: str) -> None:
    assert mode_of(settings(admin_listen=address)) == "write"


def test_a_mode_that_is_none_and_a_console_without_a_port_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'on' is none of off, read and write"):
        mode_of(settings(console="on"))
    with pytest.raises(ConfigurationError, match="ENTRESOL_ADMIN_LISTEN"):
        mode_of(settings(admin_listen="", console="read"))


def test_the_configured_name_is_answered_and_that_of_every_address_is_not() -> None:
    def refusal(address: str, host: str) -> str:
        return Guard(settings(admin_listen=address)).refusal(Request("GET", "/console/", "", {"host": host}))

    assert not refusal("10.1.2.3:9464", "10.1.2.3:9464")
    assert not refusal("admin.example:9464", "ADMIN.example")
    assert refusal("0.0.0.0:9464", "0.0.0.0:9464")
    assert refusal("10.1.2.3:9464", "10.1.2.4:9464")
    assert refusal("127.0.0.1:9464", "[")


def test_at_home_the_console_may_be_read_where_nobody_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENTRESOL_CONSOLE", raising=False)
    assert console_at_home(settings(console="off")).console == "read"
    assert console_at_home(settings(console="off", admin_listen="0.0.0.0:9464")).console == "off"
    monkeypatch.setenv("ENTRESOL_CONSOLE", "off")
    assert console_at_home(settings(console="off")).console == "off"
