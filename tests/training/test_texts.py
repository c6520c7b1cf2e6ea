"""Both languages say everything, with the same places to fill."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import training
from training.cohort import OUTCOMES
from training.evaluation import METRICS
from training.texts import LANGUAGES, texts

PLACE = re.compile(r"\{(\w+)\}")
ROOM = (
    Path(training.settings.__file__).parent if hasattr(training, "settings") else Path("training")
)


def test_languages_agree() -> None:
    one, two = (texts(lang) for lang in LANGUAGES)
    assert set(one) == set(two)
    for key in one:
        assert one[key].strip()
        assert two[key].strip()
        assert sorted(PLACE.findall(one[key])) == sorted(PLACE.findall(two[key]))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_key_used_is_there(lang: str) -> None:
    known = set(texts(lang))
    used = {f"metric.{name}" for name in METRICS} | {f"metric.{name}.short" for name in METRICS}
    used |= {f"outcome.{name}" for name in OUTCOMES}
    source = "".join(file.read_text(encoding="utf-8") for file in ROOM.glob("*.py"))
    used |= set(re.findall(r'\btext\(\s*"([a-z_.]+)"', source)) - {"strength.enormous"}
    page = (ROOM / "templates" / "training.html").read_text(encoding="utf-8")
    used |= set(re.findall(r"t\['([a-z_.]+)'\]", page))
    assert used - known == set()


def test_no_word_of_cause_in_reasons() -> None:
    causal = {
        "fr": re.compile(r"à cause|parce que|provoqu|entraîn|dû à|explique", re.I),
        "en": re.compile(r"because|due to|leads? to|explains?|results? in", re.I),
    }
    for lang in LANGUAGES:
        for key, said in texts(lang).items():
            if key.startswith(("frame.", "strength.")):
                assert not causal[lang].search(said)
