"""`/openapi.json` and the page to try the API, of one platform of stories."""

from __future__ import annotations

import json
import re

from tests.integration.transport.web import JSON, SERVICE, Web

from entresol.transport.web.json_codec import JsonCodec
from entresol.transport.web.openapi import document


def test_the_document_describes_every_way_to_call(web: Web) -> None:
    text = web.send("GET", "/openapi.json").body.decode()
    document = json.loads(text)
    schemas = document["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert references <= set(schemas)
    methods = web.running.platform.model.methods.values()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) == sum(len(method.bindings) for method in methods)
    for path, verbs in document["paths"].items():
        for one in verbs.values():
            named = [item["name"] for item in one["parameters"] if item["in"] == "path"]
            assert sorted(re.findall(r"\{([^}]*)\}", path)) == sorted(named)
    story = schemas["stories.v1.Story"]["properties"]
    assert story["createTime"].items() >= {"type": "string", "format": "date-time", "readOnly": True}.items()
    assert document["paths"]["/v1/stories/{story}"]["get"]["tags"] == ["stories.v1.StoryService"]


def test_the_document_has_the_words_of_the_protos(web: Web) -> None:
    document = web.send("GET", "/openapi.json").json
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert all(one["summary"] for one in operations)
    path = document["paths"]["/v1/stories/{story}"]
    assert path["get"]["summary"] == "Returns one story."
    mask = next(one for one in path["patch"]["parameters"] if one["name"] == "updateMask")
    assert mask["description"].startswith("The fields to change.")
    story = document["components"]["schemas"]["stories.v1.Story"]
    assert story["description"] == "Something worth reading: a link, or a text of its own."
    assert story["properties"]["title"] == {"type": "string", "description": "The headline."}
    tag = {"name": "stories.v1.StoryService", "description": "The stories of the news site."}
    assert tag in document["tags"]


def test_the_document_has_the_conditions_that_a_method_takes(web: Web) -> None:
    paths = web.send("GET", "/openapi.json").json["paths"]

    def conditions(path: str, verb: str) -> list[str]:
        headers = [one for one in paths[path][verb]["parameters"] if one["in"] == "header"]
        assert all(one["description"] and not one.get("required") for one in headers)
        return [one["name"] for one in headers]

    story = "/v1/stories/{story}"
    assert conditions(story, "get") == conditions("/v1/stories", "get") == ["If-None-Match"]
    for path, verb in ((story, "patch"), (story, "delete"), (f"{story}:undelete", "post")):
        assert conditions(path, verb) == ["If-Match"]
    assert conditions("/v1/stories", "post") == conditions(f"{story}:vote", "post") == []
    paths = document(web.running.platform.model, custom={f"{SERVICE}/UpdateStory"})["paths"]
    assert (conditions(story, "patch"), conditions(story, "delete")) == ([], ["If-Match"])


def test_the_document_has_an_example_of_every_body_that_can_be_sent(web: Web) -> None:
    document = web.send("GET", "/openapi.json").json
    model = web.running.platform.model
    codec = JsonCodec(model.descriptor_set)
    bodies = [
        one["requestBody"]["content"][JSON]
        for path in document["paths"].values()
        for one in path.values()
        if "requestBody" in one
    ]
    assert len(bodies) == sum(bool(one.body) for method in model.methods.values() for one in method.bindings)
    for body in bodies:
        message = model.pool.FindMessageTypeByName(body["schema"]["$ref"].rpartition("/")[2])
        # A method that takes a name alone has it in its path.
        assert body["example"] or [field.name for field in message.fields] == ["name"]
        codec.binary(message, json.dumps(body["example"]).encode())
    example = document["paths"]["/v1/stories"]["post"]["requestBody"]["content"][JSON]["example"]
    assert (example["title"], example["author"], example["url"]) == ("title", "users/{user}", None)
    assert web.story(**{**example, "author": web.author})["title"] == "title"
    change = document["paths"]["/v1/stories/{story}"]["patch"]["requestBody"]["content"][JSON]["example"]
    assert web.send("PATCH", f"/v1/{web.story()['name']}", change).json["title"] == "title"
    batch = document["paths"]["/v1/stories:batchCreate"]["post"]["requestBody"]["content"][JSON]["example"]
    assert batch["requests"][0]["story"] == example
    vote = document["paths"]["/v1/stories/{story}:vote"]["post"]["requestBody"]["content"][JSON]["example"]
    assert vote == {"voter": "users/{user}", "direction": "DIRECTION_UP"}


def test_there_is_a_page_to_try_it(web: Web) -> None:
    page = web.send("GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', page.body.decode()):
        assert web.send("GET", name).status == 200
