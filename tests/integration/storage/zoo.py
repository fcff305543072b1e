"""The zoo's model: its protos, and the service that every resource must have, written here because nobody calls it."""

from __future__ import annotations

import re
from pathlib import Path

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import Model

PROTO = Path(__file__).parent / "protos/zoo/v1/zoo.proto"
_RESOURCE = re.compile(
    r'type: "zoo\.example\.com/(?P<type>\w+)"\n(?P<patterns>(?: +pattern: "[^"]+"\n)+)'
    r' +singular: "(?P<singular>\w+)"\n +plural: "(?P<plural>\w+)"'
)


def zoo_model(scratch: Path) -> Model:
    """Return the model; `scratch` is an empty folder for the completed proto."""
    text = PROTO.read_text()
    messages, methods = [], []
    for match in _RESOURCE.finditer(text):
        patterns = re.findall(r'"([^"]+)"', match["patterns"])
        messages.append(_get_request(match["type"]))
        methods.append(_get(match["type"], patterns))
        if patterns[0].endswith("}"):
            messages.append(_list_messages(match["type"], match["plural"], parent=patterns[0].count("/") > 1))
            methods.append(_list(match["type"], match["plural"], patterns))
    target = scratch / "zoo/v1/zoo.proto"
    target.parent.mkdir(parents=True)
    service = "\n".join(methods)
    target.write_text(f"{text}\n" + "\n".join(messages) + f"\nservice ZooService {{\n{service}\n}}\n")
    return load(compile_protos(scratch))


def _get_request(type_: str) -> str:
    return f"""message Get{type_}Request {{
  string name = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "zoo.example.com/{type_}"
  ];
}}"""


def _list_messages(type_: str, plural: str, *, parent: bool) -> str:
    field = f"""  string parent = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).child_type = "zoo.example.com/{type_}"
  ];
"""
    return f"""message List{plural.capitalize()}Request {{
{field if parent else ""}  int32 page_size = 2 [(google.api.field_behavior) = OPTIONAL];
  string page_token = 3 [(google.api.field_behavior) = OPTIONAL];
  bool show_deleted = 4 [(google.api.field_behavior) = OPTIONAL];
}}
message List{plural.capitalize()}Response {{
  repeated {type_} {plural} = 1;
  string next_page_token = 2;
}}"""


def _get(type_: str, patterns: list[str]) -> str:
    paths = [f"/v1/{{name={_starred(pattern)}}}" for pattern in patterns]
    return f"""  rpc Get{type_}(Get{type_}Request) returns ({type_}) {{
    {_http(paths)}
    option (google.api.method_signature) = "name";
  }}"""


def _list(type_: str, plural: str, patterns: list[str]) -> str:
    parents = [pattern.split("/")[:-2] for pattern in patterns]
    collection = patterns[0].split("/")[-2]
    paths = [
        f"/v1/{{parent={_starred('/'.join(parent))}}}/{collection}" if parent else f"/v1/{collection}"
        for parent in parents
    ]
    return f"""  rpc List{plural.capitalize()}(List{plural.capitalize()}Request)
      returns (List{plural.capitalize()}Response) {{
    {_http(paths)}
    option (google.api.method_signature) = "{"parent" if parents[0] else ""}";
  }}"""


def _http(paths: list[str]) -> str:
    more = " ".join(f'additional_bindings {{get: "{path}"}}' for path in paths[1:])
    return f'option (google.api.http) = {{get: "{paths[0]}" {more}}};'


def _starred(pattern: str) -> str:
    return re.sub(r"\{\w+\}", "*", pattern)
