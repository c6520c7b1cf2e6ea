from __future__ import annotations

import re
import string
from pathlib import Path

from serving import wording
from serving.problems import CODES

SERVING = Path(wording.__file__).parent


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things() -> None:
    french, english = wording.catalogue("fr"), wording.catalogue("en")
    assert set(french) == set(english)
    assert all(french.values())
    assert all(english.values())
    for key, said in french.items():
        assert placeholders(said) == placeholders(english[key]), key


def test_every_key_used_has_a_text_and_every_text_is_used() -> None:
    used = set()
    for file in [*SERVING.glob("*.py"), *SERVING.glob("templates/*.html")]:
        source = file.read_text(encoding="utf-8")
        used |= set(re.findall(r"""(?:say|text|\bt)\(\s*["']([a-z_.]+)["']""", source))
    used |= {f"problem.{code}.{part}" for code in CODES for part in ("title", "detail")}
    used |= {f"problem.too_large.{kind}" for kind in ("bytes", "persons", "timelines", "events")}
    used |= {f"band.{band}" for band in ("high", "medium", "low")}
    used |= {f"status.{status}" for status in ("unknown_person", "not_at_risk", "objects")}
    used |= {f"route.{r}" for r in ("score", "score_timelines", "healthz", "readyz", "openapi")}
    used.discard("no.such.key")
    assert used == set(wording.catalogue("fr"))
