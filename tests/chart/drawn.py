"""Values drawn from the chart's own schema: whatever it lets in, within what Kubernetes could mean by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from tests.unit.helm.chart import CHART

Schema = Mapping[str, Any]
SCHEMA: Schema = json.loads((CHART / "values.schema.json").read_text())
ENTRIES_MAX = 2
WORDS = st.text("abcdefghij", min_size=1, max_size=8)
# What the schema leaves to Kubernetes, by the key that holds it; for an array, one of its entries.
OPEN: Mapping[str, Any] = {
    "affinity": {"podAntiAffinity": {}},
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    "claims": {},
    "extraEgress": {"ports": [{"port": 443, "protocol": "TCP"}]},
    "extraObjects": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "{{ .Release.Name }}-extra"},
        "data": {"chart": "{{ .Chart.Name }}"},
    },
    "ingressFrom": {"podSelector": {}},
    "limits": {"memory": "1Gi"},
    "livenessProbe": {"exec": {"command": ["true"]}},
    "metricsFrom": {"namespaceSelector": {}},
    "podSecurityContext": {"fsGroup": 3},
    "readinessProbe": {"exec": {"command": ["true"]}},
    "requests": {"cpu": "1"},
    "securityContext": {},
    "startupProbe": {"exec": {"command": ["true"]}},
    "strategy": {"rollingUpdate": {"maxUnavailable": 1}},
    "to": {"podSelector": {"matchLabels": {"app": "store"}}},
    "tolerations": {"operator": "Exists"},
    "topologySpreadConstraints": {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {},
    },
    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
}
# Of these one needs the other, or the value is gone.
LEFT_OUT = {"extraVolumes", "extraVolumeMounts", "claims", "preStopSleepSeconds"}


def values() -> st.SearchStrategy[dict[str, Any]]:
    """Return values of any shape that the schema has, none of which needs to be sensible beside the others."""
    return _object(SCHEMA, "")


def _drawn(schema: Schema | bool, key: str) -> st.SearchStrategy[Any]:
    if isinstance(schema, bool):
        raise AssertionError(f"{key}: the schema says nothing of it")
    schema = _resolved(schema)
    if key in OPEN and schema.get("type") != "array" and "properties" not in schema:
        return st.just(OPEN[key])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([_drawn(choice, key) for choice in schema["anyOf"]])
    kinds = schema.get("type", "object")
    drawn = [_KINDS[kind](schema, key) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return st.one_of(drawn)


def _resolved(schema: Schema) -> Schema:
    """Return a schema with what it refers to, and what all of it says, in one."""
    if "$ref" in schema:
        found: Any = SCHEMA
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _resolved({**found, **{key: value for key, value in schema.items() if key != "$ref"}})
    if "allOf" in schema:
        shared: dict[str, Any] = {}
        for part in schema["allOf"]:
            shared |= _resolved(part)["properties"]
        own = {key: value for key, value in schema["properties"].items() if value is not True}
        return {**schema, "type": "object", "properties": {**shared, **own}}
    return schema


def _object(schema: Schema, key: str) -> st.SearchStrategy[dict[str, Any]]:
    properties = {name: part for name, part in schema.get("properties", {}).items() if name not in LEFT_OUT}
    if properties:
        required = schema.get("required", [])
        drawn = {
            name: st.deferred(lambda part=part, name=name: _drawn(part, name))
            for name, part in properties.items()
        }
        return _some(drawn, required)
    names = _string(schema.get("propertyNames", {}), key)
    return st.dictionaries(names, _drawn(schema["additionalProperties"], key), max_size=ENTRIES_MAX)


@st.composite
def _some(draw: st.DrawFn, drawn: dict[str, st.SearchStrategy[Any]], required: list[str]) -> dict[str, Any]:
    """Draw a few of the keys: with all of them at once hardly any values would be taken."""
    names = draw(st.lists(st.sampled_from(sorted(drawn)), max_size=4, unique=True))
    return {name: draw(drawn[name]) for name in sorted({*names, *required})}


def _array(schema: Schema, key: str) -> st.SearchStrategy[list[Any]]:
    entries = (
        _drawn(schema["items"], key) if schema.get("items") != {"type": "object"} else st.just(OPEN[key])
    )
    least = schema.get("minItems", 0)
    return st.lists(entries, min_size=least, max_size=ENTRIES_MAX, unique_by=json.dumps)


def _string(schema: Schema, key: str) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        ascii_only = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="{}\"'\\")
        return st.from_regex(schema["pattern"], fullmatch=True, alphabet=ascii_only).filter(
            lambda text: len(text) < 64
        )
    return WORDS


def _integer(schema: Schema, key: str) -> st.SearchStrategy[int]:
    least = schema.get("minimum", 0)
    return st.integers(least, min(schema.get("maximum", 100_000), least + 100_000))


def _number(schema: Schema, key: str) -> st.SearchStrategy[float]:
    return st.sampled_from([0.25, 1, 7.5, 20, 4_194_304])


_KINDS = {
    "array": _array,
    "boolean": lambda schema, key: st.booleans(),
    "integer": _integer,
    "null": lambda schema, key: st.none(),
    "number": _number,
    "object": _object,
    "string": _string,
}
