"""Records in the console: lists, pages, and forms made of the schema; what is hidden stays so."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import pytest
from tests.integration.console.browser import Page
from tests.integration.console.conftest import Shown, settings_of, shown

from entresol.service.registry import Registry
from entresol.testing.servers import Database

PATH = "/console/resources/accounts.v1.Account"
SECRET = "open-sesame-1001"


def record(found: Shown, name: str) -> Page:
    return found.browser.get(f"{PATH}/record?{urlencode({'name': name, 'consistency': 'strong'})}")


def create(found: Shown, id_: str, **fields: str) -> Page:
    form = {
        "field.account_id": id_,
        "field.mail": f"{id_}@example.com",
        **{f"field.{k}": v for k, v in fields.items()},
    }
    return found.browser.post(f"{PATH}/new", form)


def was(page: Page) -> dict[str, str]:
    """Return the hidden inputs of a form: what fields were, and the etag."""
    found = re.findall(r'type="hidden" name="((?:was\.)?\w+)" value="([^"]*)"', page.body)
    return {name: unescape(value) for name, value in found}


def test_every_resource_is_listed_with_its_options(stories: Shown) -> None:
    page = stories.browser.get("/console/resources")
    assert page.status == 200
    assert "stories.v1.Story" in page.text
    assert "soft delete 30.0 d" in page.text or "soft delete 30 d" in page.text
    assert "events 30 days" in page.text
    assert "stories/{story}/comments/{comment}" in page.text


def test_a_record_is_made_shown_changed_and_deleted_by_forms(accounts: Shown) -> None:
    made = create(
        accounts,
        "ann",
        plan="PLAN_LARGE",
        aliases="a\nb\n",
        notes='{"k": "v"}',
        kept="90s",
        letters="9007199254740993",
        wants_letters="false",
    )
    assert made.status == 200
    assert "accounts/ann is made" in made.text
    for text in ("ann@example.com", "PLAN_LARGE", "90s", "9007199254740993", '"k" : "v"'):
        assert text in made.text, text
    assert "wants_letters bool False" in made.text
    edit = accounts.browser.get(f"{PATH}/edit?name=accounts/ann")
    before = was(edit)
    form = {
        "name": "accounts/ann",
        "etag": before["etag"],
        "was.mail": before["was.mail"],
        "field.mail": "new@example.com",
        "was.kept": "90s",
        "field.kept": "",
    }
    changed = accounts.browser.post(f"{PATH}/edit", form)
    assert "is changed: mail, kept" in changed.text
    assert "new@example.com" in changed.text
    assert "PLAN_LARGE" in changed.text, "what is not in the form stays"
    assert "90s" not in changed.text
    gone = accounts.browser.post(f"{PATH}/delete", {"name": "accounts/ann"})
    assert "accounts/ann is deleted" in gone.text
    assert record(accounts, "accounts/ann").status == 404


def test_an_edit_of_what_has_changed_meanwhile_is_refused(accounts: Shown) -> None:
    create(accounts, "bob")
    before = was(accounts.browser.get(f"{PATH}/edit?name=accounts/bob"))
    form = {"name": "accounts/bob", "etag": before["etag"], "was.mail": before["was.mail"]}
    assert (
        "is changed"
        in accounts.browser.post(f"{PATH}/edit", {**form, "field.mail": "first@example.com"}).text
    )
    second = accounts.browser.post(f"{PATH}/edit", {**form, "field.mail": "second@example.com"})
    assert second.status == 409
    assert "ABORTED" in second.text
    assert 'value="second@example.com"' in second.body, "what was filled in is not lost"
    assert "first@example.com" in record(accounts, "accounts/bob").text


def test_mistakes_are_told_at_their_fields_and_checking_changes_nothing(accounts: Shown) -> None:
    page = create(accounts, "eve", mail="", notes="{", letters="many")
    assert page.status == 400
    assert "is not JSON" in page.text
    page = create(accounts, "eve", mail="")
    assert page.status == 400
    assert re.search(r'class="field wrong">\s*<label for="field.mail"', page.body)
    checked = accounts.browser.post(
        f"{PATH}/new", {"field.account_id": "eve", "field.mail": "eve@example.com", "check": "true"}
    )
    assert "It would be taken" in checked.text
    assert record(accounts, "accounts/eve").status == 404


def test_what_is_marked_is_hidden_everywhere_and_kept_by_an_edit(
    accounts: Shown, accounts_database: Database
) -> None:
    refused = create(accounts, "kim", secret=SECRET, mail="")
    assert refused.status == 400
    assert SECRET not in refused.body
    pages = [create(accounts, "kim", secret=SECRET), record(accounts, "accounts/kim")]
    pages += [accounts.browser.get(PATH), accounts.browser.get(f"{PATH}/edit?name=accounts/kim")]
    call = {"method": "/accounts.v1.AccountService/GetAccount", "request": '{"name": "accounts/kim"}'}
    pages += [accounts.browser.post("/console/playground", call)]
    for page in pages:
        assert page.status == 200
        assert "kim@example.com" in page.body
        assert SECRET not in page.body
        assert "[hidden]" in page.text or "hidden" in page.body
    before = was(pages[3])
    form = {
        "name": "accounts/kim",
        "etag": before["etag"],
        "was.secret": before["was.secret"],
        "field.secret": "",
        "was.mail": "kim@example.com",
        "field.mail": "k@example.com",
    }
    assert "is changed: mail" in accounts.browser.post(f"{PATH}/edit", form).text
    import asyncio

    assert SECRET in str(
        asyncio.run(accounts_database.psql("SELECT secret FROM accounts WHERE name = 'accounts/kim'"))
    )


def test_values_are_text_and_never_markup(accounts: Shown) -> None:
    page = create(
        accounts,
        "xss",
        mail='"><script>alert(1)</script>',
        aliases="<img src=x onerror=alert(1)>",
        notes='{"</pre><script>": "<b>"}',
    )
    assert page.status == 200
    for shown_page in (
        page,
        accounts.browser.get(PATH),
        accounts.browser.get(f"{PATH}/edit?name=accounts/xss"),
    ):
        assert "<script>alert" not in shown_page.body
        assert "<img" not in shown_page.body
        assert "</pre><script>" not in shown_page.body
    asked = accounts.browser.get(f"{PATH}?{urlencode({'filter': '</a><script>alert(1)</script>'})}")
    assert "<script>alert" not in asked.body


def test_a_list_is_filtered_ordered_and_paged(stories: Shown) -> None:
    call = {"method": "/stories.v1.UserService/BatchCreateUsers"}
    users = ",".join(f'{{"userId": "u{n}", "user": {{"displayName": "N{n}"}}}}' for n in range(5))
    made = stories.browser.post("/console/playground", {**call, "request": f'{{"requests": [{users}]}}'})
    assert made.status == 200, made.text
    path = "/console/resources/stories.v1.User"
    first = stories.browser.get(f"{path}?page_size=2")
    assert "users/u0" in first.text
    assert "users/u2" not in first.text
    following = re.search(r'rel="next" href="([^"]+)"', first.body)
    assert following
    second = stories.browser.get(following[1].replace("&amp;", "&"))
    assert "users/u2" in second.text
    assert "users/u1" not in second.text
    three = urlencode({"filter": 'display_name = "N3"'})
    found = stories.browser.get(f"{path}?{three}")
    assert "users/u3" in found.text
    assert found.text.endswith(" 1 row")
    wrong = stories.browser.get(f"{path}?{urlencode({'filter': 'display_name ='})}")
    assert wrong.status == 400
    assert "INVALID_ARGUMENT" in wrong.text


def test_a_policy_that_refuses_is_shown_as_what_it_is(accounts_database: Database, cache_url: str) -> None:
    registry = Registry()

    @registry.authorizer
    def nobody(_request: object, _call: object) -> bool:
        return False

    with shown(settings_of(accounts_database, cache_url), registry) as found:
        page = found.browser.get(PATH)
    assert page.status == 403
    assert "PERMISSION_DENIED an anonymous caller may not call" in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/console/resources/no.Such",
        "/console/resources/no.Such/record?name=x",
        "/console/nothing",
        "/console/jobs/nonsense",
        "/console/schedules/none",
    ],
)
def test_what_is_not_there_is_told(accounts: Shown, path: str) -> None:
    assert accounts.browser.get(path).status in (400, 404)
