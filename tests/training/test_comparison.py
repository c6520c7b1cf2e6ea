"""A part of the features beside all of them: what a catalogue of that part alone would reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from features.errors import ConfigurationError
from features.territory import Territory
from tests.training.conftest import GROUPS
from training.comparison import columns_of
from training.settings import TrainingSettings
from training.train import train

FEW = ("contact.seen.*", "contact.noshow.*")
THIN = f"  subsets: {{thin: {json.dumps(FEW)}}}\n"


@pytest.fixture(scope="module")
def compared(make_territory: Callable[..., Any]) -> tuple[Territory, Any]:
    territory = make_territory(THIN)
    return territory, train(territory)


def test_the_rest_of_the_report_is_not_touched(
    compared: tuple[Territory, Any], trained: tuple[Any, Any]
) -> None:
    _, report = compared
    assert [m.as_dict() for m in report.models] == [m.as_dict() for m in trained[1].models]
    assert report.champion["kind"] == trained[1].champion["kind"]
    assert trained[1].subsets == []


def test_a_part_reaches_what_a_catalogue_of_it_alone_reaches(
    compared: tuple[Territory, Any], make_territory: Callable[..., Any]
) -> None:
    """Same rows, folds and seeds: to the last digit."""
    _, report = compared
    [part] = report.subsets
    few = GROUPS[: GROUPS.index("      - name: ", GROUPS.index("contact.noshow") + 1)]
    assert few.count("- name:") == 2
    alone = train(make_territory(groups=few))
    assert part.features == alone.build.features < report.build.features
    learned = [model.as_dict() for model in alone.models if model.kind != "rule"]
    assert [model.as_dict() for model in part.models] == learned
    assert [model.kind for model in part.models] == ["logistic", "lightgbm"]


def test_both_are_printed_with_their_intervals(compared: tuple[Territory, Any]) -> None:
    territory, report = compared
    [part] = report.subsets
    whole = {model.kind: model for model in report.models}
    told = json.loads((territory.home / "reports" / "training.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in told["subsets"]] == ["thin"]
    assert told["subsets"][0]["features"] == part.features
    for lang, all_ in (("fr", "toutes"), ("en", "all")):
        text = report.text(lang)
        page = (territory.home / "reports" / f"training.{lang}.html").read_text(encoding="utf-8")
        assert f", {all_}" in text
        assert f", {all_}" in page
        assert ", thin" in text
        assert ", thin" in page
        for model in (*part.models, *(whole[one.kind] for one in part.models)):
            for name in ("auc", "average_precision"):
                low, high = model.folds[-1].intervals[name]
                assert f"{model.folds[-1].figures[name]:.4f} ({low:.4f} - {high:.4f})" in text
                assert f"<small>{low:.4f} ; {high:.4f}</small>" in page


def test_patterns_without_a_feature_are_all_named(make_territory: Callable[..., Any]) -> None:
    territory = make_territory("  subsets: {thin: [contact.sen.*], other: [x, contact.seen.*]}\n")
    with pytest.raises(ConfigurationError) as raised:
        train(territory)
    assert "thin: 'contact.sen.*' matches no feature; other: 'x' matches" in str(raised.value)
    assert not (territory.home / "reports").exists()


def test_oulad_s_thin_part_is_its_first_catalogue() -> None:
    from features.definitions import build_catalogue
    from features.settings import FeaturesSettings

    territory = Territory.open("oulad")
    names = build_catalogue(territory.section("features", FeaturesSettings)).names
    settings = territory.section("training", TrainingSettings)
    columns = columns_of(names, settings.subsets)["thin"]
    assert len(columns) == 77
    assert not any(names[column].startswith(("peers.", "type.")) for column in columns.tolist())
