"""The `training:` section: defaults are the demo's, faults say where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from features.errors import ConfigurationError
from features.territory import Territory
from training.settings import AnchoredSchedule, CutoffFolds, TrainingSettings


def test_everything_has_a_default() -> None:
    task = TrainingSettings()
    assert task == TrainingSettings.model_validate({})
    assert TrainingSettings.model_validate(task.model_dump(mode="json")) == task


def test_one_code_may_stand_without_a_list() -> None:
    task = TrainingSettings.model_validate({"cohort": {"opens": "A//B//C"}})
    assert task.cohort.opens == ("A//B//C",)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingSettings().horizon_days = 3  # type: ignore[misc]


def test_gap_is_horizon_and_delay() -> None:
    assert TrainingSettings(horizon_days=30, label_delay_days=14).gap_days == 44


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"horizon_days": 0}, "greater than or equal to 1"),
        ({"capacity": 1.0}, "less than 1"),
        ({"rupture": {"first_of": ["R1", "R1"]}}, "stands twice"),
        ({"rupture": {"first_of": ["R8"]}}, "'R1', 'R2'"),
        ({"cohort": {"schedule": {"anchor": "A", "from_day": 9, "to_day": 3}}}, "before from_day"),
        ({"folds": {"kind": "cutoff", "test_from": "2024-01-01"}}, "schedule with an anchor"),
        ({"folds": {"kind": "cutoff"}}, "Field required"),
        ({"models": {"kinds": ["forest"]}}, "'rule', 'logistic' or 'lightgbm'"),
    ],
)
def test_faults(content: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingSettings.model_validate(content)


def test_kinds_of_schedule_and_folds() -> None:
    task = TrainingSettings.model_validate(
        {
            "cohort": {"schedule": {"anchor": "A"}},
            "folds": {"kind": "cutoff", "test_from": "2024-02-01"},
        }
    )
    assert isinstance(task.cohort.schedule, AnchoredSchedule)
    assert isinstance(task.folds, CutoffFolds)


def test_faults_name_line_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "territory.yaml"
    file.write_text(
        "training:\n  horizon_day: 30\n  cohort:\n    schedule: {anchor: A, every_day: 7}\n"
        "  rupture:\n    R5: {course_grace: 0}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        Territory.open(file).section("training", TrainingSettings)
    text = str(caught.value)
    for line, key, name in (
        (2, "horizon_day", "horizon_days"),
        (4, "cohort.schedule.every_day", "every_days"),
        (6, "rupture.R5.course_grace", "course_grace_days"),
    ):
        hint = f"unknown key. Hint: Did you mean '{name}'?"
        assert f"territory.yaml:{line}: training.{key}: {hint}" in text
