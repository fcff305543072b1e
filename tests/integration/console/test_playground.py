"""The playground: any method that may be called, who answered, errors in full, and the same call for a shell."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections import Counter
from html import unescape

from tests.integration.console.browser import Page
from tests.integration.console.conftest import Shown, settings_of, shown
from tests.integration.transport.wire import PROTOS, registry
from tests.integration.transport.wire import SERVICE as STREAMS

from entresol.testing.servers import Database

SERVICE = "/accounts.v1.AccountService"


def call(found: Shown, method: str, request: str, metadata: str = "") -> Page:
    form = {"method": f"{SERVICE}/{method}", "request": request, "metadata": metadata}
    return found.browser.post("/console/playground", form)


def reply(page: Page) -> dict[str, object]:
    shown = re.search(r'class="reply".*?<pre class="json">(.*?)</pre>', page.body, re.DOTALL)
    assert shown, page.text
    told: dict[str, object] = json.loads(unescape(re.sub("<[^>]*>", "", shown[1])))
    return told


def test_requests_are_examples_made_of_the_schema(accounts: Shown) -> None:
    page = accounts.browser.get(f"/console/playground?method={SERVICE}/CreateAccount")
    text = re.search(r'<textarea name="request"[^>]*>\s*(.*?)</textarea>', page.body, re.DOTALL)
    assert text
    request = json.loads(unescape(text[1]))
    assert request["account"]["mail"] == "mail"
    assert request["account"]["plan"] is None
    assert "etag" in request["account"]


def test_replies_say_who_answered_and_a_write_is_seen_by_the_next_call(accounts: Shown) -> None:
    made = call(accounts, "CreateAccount", '{"accountId": "pat", "account": {"mail": "pat@example.com"}}')
    assert reply(made)["name"] == "accounts/pat"
    assert "answered by primary" in made.text
    listed = call(accounts, "ListAccounts", '{"filter": "mail = \\"pat@example.com\\""}')
    assert [one["name"] for one in reply(listed)["accounts"]] == ["accounts/pat"]  # type: ignore[attr-defined,index]
    strong = call(accounts, "GetAccount", '{"name": "accounts/pat"}', "entresol-consistency: strong")
    assert "answered by primary" in strong.text
    assert re.search(r"OK [\d.]+ (ms|µs|s)", strong.text)


def test_errors_are_shown_whole_as_callers_see_them(accounts: Shown) -> None:
    missing = reply(call(accounts, "GetAccount", '{"name": "accounts/none"}'))["error"]
    assert isinstance(missing, dict)
    assert (missing["code"], missing["status"]) == (404, "NOT_FOUND")
    assert missing["details"][0]["reason"] == "RESOURCE_NOT_FOUND"
    wrong = reply(call(accounts, "GetAccount", '{"nane": "x"}'))["error"]
    assert isinstance(wrong, dict)
    assert "nane" in json.dumps(wrong)
    assert reply(call(accounts, "GetAccount", "{"))["error"]["status"] == "INVALID_ARGUMENT"  # type: ignore[index]
    assert call(accounts, "GetAccount", "{}", "no colon").status == 400
    assert call(accounts, "NoSuchMethod", "{}").status == 404


def test_a_console_that_reads_calls_what_changes_nothing(read_accounts: Shown) -> None:
    assert "OK" in call(read_accounts, "ListAccounts", "{}").text
    assert call(read_accounts, "DeleteAccount", '{"name": "accounts/pat"}').status == 403
    shown = read_accounts.browser.get(f"/console/playground?method={SERVICE}/DeleteAccount")
    assert "this console only reads" in shown.text


def test_of_a_stream_the_first_replies_are_shown_and_the_rest_is_let_go(
    accounts_database: Database, cache_url: str
) -> None:
    ended: Counter[str] = Counter()
    settings = settings_of(accounts_database, cache_url, protos=str(PROTOS))
    with shown(settings, registry(ended)) as found:

        def answer(method: str, request: str) -> Page:
            form = {"method": f"/{STREAMS}/{method}", "request": request}
            return found.browser.post("/console/playground", form)

        assert answer("Repeat", '{"payload": "YQ==", "count": 3}').text.count('"payload" : "YQ=="') == 3
        assert answer("Repeat", '{"payload": "YQ==", "count": 500}').text.count('"payload" : "YQ=="') == 20
        assert ended["done"] == 3 + 20, "the rest is not made"
        slow = answer("Repeat", '{"count": 3, "pauseS": 10}')
        assert "DEADLINE_EXCEEDED" in slow.text
        assert "UNIMPLEMENTED" in answer("Collect", "{}").text


def test_the_line_for_curl_makes_the_same_call(accounts: Shown) -> None:
    call(accounts, "CreateAccount", '{"accountId": "quo", "account": {"mail": "it\'s"}}')
    page = call(accounts, "ListAccounts", '{"filter": "mail = \\"it\'s\\""}', "x-note: it's me")
    line = re.search(r'<pre class="copy">(curl.*?)</pre>', page.body, re.DOTALL)
    assert line
    command = [*shlex.split(unescape(line[1])), "--silent"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert [one["name"] for one in json.loads(done.stdout)["accounts"]] == ["accounts/quo"]
    assert "grpcurl -plaintext -H" in page.text
    assert f"{accounts.running.address} accounts.v1.AccountService/ListAccounts" in page.text
