"""Whatever values the schema lets in are refused by name, or make objects that Kubernetes and every rule take."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from tests.chart.drawn import values
from tests.chart.test_schemas import validated
from tests.unit.helm.chart import CHART, LEAST, Object, over, template
from tests.unit.helm.rules import findings, title

EXAMPLES = 120
# Of all versions the oldest that knows every field of the chart's, and the newest: each object takes a moment.
OLDEST_AND_NEWEST = ("1.31", "1.37")
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
# How the chart's own refusals begin: with the value, or the component, that they are about.
NAMED = re.compile(
    r"execution error at \(entresol/templates/[\w/.-]+:\d+:\d+\): ([a-z][\w.-]*)( and [\w.-]+)?: "
)


@pytest.mark.timeout(600)
def test_any_values_are_refused_by_name_or_render_to_what_is_right() -> None:
    rendered: dict[str, Object] = {}
    refused: list[str] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values())
    def check(drawn: dict[str, Any]) -> None:
        given_values = over(
            {"database": {"write": {"existingSecret": LEAST["database.write.existingSecret"]}}}, drawn
        )
        done = template(settings=given_values)
        if done.returncode != 0:
            assert NAMED.search(done.stderr), done.stderr
            refused.append(done.stderr)
            return
        objects = [item for item in yaml.safe_load_all(done.stdout) if item]
        assert findings(objects, over(DEFAULTS, given_values)) == []
        rendered.update({json.dumps(item): item for item in objects})

    check()
    assert len(refused) < EXAMPLES / 2, "so few are rendered that this tests little"
    assert (
        validated(
            {f"{number} {title(item)}": item for number, item in enumerate(rendered.values())},
            OLDEST_AND_NEWEST,
        )
        == []
    )
