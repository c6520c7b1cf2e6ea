from __future__ import annotations

import json
import re
from pathlib import Path

from serving.guard import KEYED_PATHS, OPEN_PATHS
from serving.problems import CODES
from serving.schemas import Answer, TimelinesRequest
from serving.settings import ServingSettings

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_route_setting_and_error_is_documented() -> None:
    for path in (KEYED_PATHS | OPEN_PATHS) - {"/livez", "/static/jalon.css"}:
        assert re.search(rf"`(GET|POST) {re.escape(path)}`", TEXT), path
    for name, field in ServingSettings.model_fields.items():
        row = re.search(rf"^\| `{name}` \| (.*?) \|", TEXT, re.MULTILINE)
        assert row, name
        if isinstance(field.default, int | float):
            assert f"`{field.default:g}`" in row[1] or f"`{field.default}`" in row[1], name
    for code, status in CODES.items():
        assert re.search(rf"^\| `{code}` \| {status} \|", TEXT, re.MULTILINE), code


def test_the_examples_are_of_the_form_that_is_served() -> None:
    answer, request, problem = (
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    )
    Answer.model_validate(answer)
    TimelinesRequest.model_validate_json(json.dumps(request))
    assert problem["status"] == CODES[problem["code"]]
