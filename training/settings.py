"""The `training:` section of the territory file: who is at risk, of what, and how it is learned."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from features.settings import Section

__all__ = [
    "AnchoredSchedule",
    "CohortSettings",
    "CutoffFolds",
    "ModelSettings",
    "MonthlySchedule",
    "RollingFolds",
    "RuptureSettings",
    "TrainingSettings",
    "TruthSettings",
]

Rule = Literal["R1", "R2", "R3", "R4", "R5", "R6", "R7"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Codes = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Code patterns: ``*`` stands for anything, ``EXIT//PATHWAY//*``."""


class MonthlySchedule(Section):
    """Prediction times on the first of every month, 00:00 local."""

    every: Literal["month"] = "month"


class AnchoredSchedule(Section):
    """Prediction times counted in local days from the day of a person's anchor event.

    Each is a local midnight: the anchor's day plus `from_day`, then every `every_days` up to
    `to_day`, both included.
    """

    anchor: str
    every_days: int = Field(default=7, ge=1)
    from_day: int = Field(default=28, ge=0)
    to_day: int = Field(default=168, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> AnchoredSchedule:
        if self.to_day < self.from_day:
            raise ValueError("to_day is before from_day. Hint: Exchange the two")
        return self


def _schedule_kind(value: Any) -> str:
    if isinstance(value, AnchoredSchedule) or (isinstance(value, dict) and "anchor" in value):
        return "AnchoredSchedule"
    return "MonthlySchedule"


Schedule = Annotated[
    Annotated[MonthlySchedule, Tag("MonthlySchedule")]
    | Annotated[AnchoredSchedule, Tag("AnchoredSchedule")],
    Discriminator(_schedule_kind),
]


class CohortSettings(Section):
    """When a pathway is open, and at which instants its risk is asked.

    A pathway opens at the first event of `opens` and closes at the first later event of `closes`;
    there is no second pathway. `start` and `end` (exclusive) bound the prediction times; without
    them the observation period does.
    """

    opens: Codes = Field(default=("ORIENTATION//DECISION//*",), min_length=1)
    closes: Codes = ("EXIT//PATHWAY//*",)
    schedule: Schedule = MonthlySchedule()
    start: date | None = None
    end: date | None = None


class RepeatedAbsence(Section):
    """R1: `count` absences in `days` days, none followed by a kept appointment."""

    missed: Codes = ("CONTACT//APPOINTMENT//NOSHOW",)
    count: int = Field(default=2, ge=1)
    days: int = Field(default=90, ge=1)


class SilenceAfterInvitation(Section):
    """R2: an invitation expired and nothing was kept or planned in `days` days."""

    expired: Codes = ("CONTACT//INVITATION//EXPIRED",)
    planned: Codes = ("CONTACT//APPOINTMENT//SCHEDULED",)
    days: int = Field(default=30, ge=0)


class ContractLapsed(Section):
    """R3: no valid contract `days` days after the orientation or the last one's end; struck off."""

    oriented: Codes = ("ORIENTATION//DECISION//*",)
    contracts: Codes = tuple(
        f"CONTRACT//{kind}//{status}"
        for kind in ("CER", "PPAE", "CEJ", "PACEA")
        for status in ("SIGNED", "RENEWED")
    )
    struck_off: Codes = ("EMPLOYMENT//REGISTRATION//STRUCK_OFF",)
    days: int = Field(default=60, ge=0)


class RightsBroken(Section):
    """R4: rights suspended or closed for a motive of disengagement (`text_value`)."""

    suspended: Codes = ("RIGHTS//RSA//SUSPENDED", "RIGHTS//RSA//PAYMENT_SUSPENDED")
    suspension_motives: tuple[str, ...] = ("06", "70", "CG", "CV", "DL", "DM", "GJ", "GK", "GL")
    closed: Codes = ("RIGHTS//RSA//CLOSED",)
    closing_motives: tuple[str, ...] = ("ECH", "RAU", "PCG")


class ActionBroken(Section):
    """R5: a supported job broken; a course or an apprenticeship left with nothing after it."""

    job_broken: Codes = ("EMPLOYMENT//IAE_JOB//BROKEN",)
    course_left: Codes = ("TRAINING//COURSE//ABANDONED",)
    course_answers: Codes = ("EMPLOYMENT//JOB//STARTED",)
    course_grace_days: int = Field(default=30, ge=0)
    apprenticeship_broken: Codes = ("TRAINING//APPRENTICESHIP//BROKEN",)
    apprenticeship_answers: Codes = ("TRAINING//APPRENTICESHIP//STARTED",)
    apprenticeship_grace_days: int = Field(default=180, ge=0)


class HandOverDropped(Section):
    """R6: a hand-over accepted, none kept with the receiving service in `days` days."""

    accepted: Codes = ("ORIENTATION//REFERRAL//ACCEPTED", "ORIENTATION//REORIENTATION//ACCEPTED")
    days: int = Field(default=45, ge=0)


class LostFromSight(Section):
    """R7: no appointment kept with any service for `days` days, or an exit without solution."""

    exits: Codes = ("EXIT//PATHWAY//DROPPED_OUT", "EXIT//PATHWAY//NO_SOLUTION")
    days: int = Field(default=120, ge=1)


class RuptureSettings(Section):
    """What a rupture is: the first of the named rules, each with its thresholds."""

    first_of: tuple[Rule, ...] = Field(default=("R1", "R5", "R6", "R7"), min_length=1)
    seen: Codes = Field(default=("CONTACT//APPOINTMENT//SEEN",), min_length=1)
    R1: RepeatedAbsence = RepeatedAbsence()
    R2: SilenceAfterInvitation = SilenceAfterInvitation()
    R3: ContractLapsed = ContractLapsed()
    R4: RightsBroken = RightsBroken()
    R5: ActionBroken = ActionBroken()
    R6: HandOverDropped = HandOverDropped()
    R7: LostFromSight = LostFromSight()

    @field_validator("first_of")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a rule stands twice. Hint: Keep one")
        return value


class RollingFolds(Section):
    """Origins that roll forward: train, gap, calibration, gap, test; the newest test last."""

    kind: Literal["rolling"] = "rolling"
    count: int = Field(default=3, ge=1, le=24)
    test_months: int = Field(default=3, ge=1)
    calibration_months: int = Field(default=3, ge=1)


class CutoffFolds(Section):
    """One fold: people whose anchor event lies on or after `test_from` are the test."""

    kind: Literal["cutoff"]
    test_from: date
    calibration_days: int = Field(default=90, ge=1)


def _folds_kind(value: Any) -> str:
    kind = value.get("kind", "rolling") if isinstance(value, dict) else getattr(value, "kind", "")
    return "CutoffFolds" if kind == "cutoff" else "RollingFolds"


Folds = Annotated[
    Annotated[RollingFolds, Tag("RollingFolds")] | Annotated[CutoffFolds, Tag("CutoffFolds")],
    Discriminator(_folds_kind),
]


class LightGBMSettings(Section):
    """Size and pace of the boosted trees; the rest is fixed so that a run can be repeated."""

    trees: int = Field(default=160, ge=1, le=10_000)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    leaves: int = Field(default=31, ge=2, le=4096)
    min_rows_in_leaf: int = Field(default=100, ge=1)
    feature_share: float = Field(default=0.4, gt=0, le=1)
    row_share: float = Field(default=0.8, gt=0, le=1)
    l2: float = Field(default=10.0, ge=0)


class LogisticSettings(Section):
    """Penalised logistic regression: `c` is the inverse strength of the L2 penalty."""

    c: float = Field(default=0.1, gt=0)
    max_iterations: int = Field(default=1000, ge=1)


class RuleSettings(Section):
    """Current practice as a model: people are ranked by one feature, largest first."""

    feature: str = "contact.seen.days_since_last.all"


class ModelSettings(Section):
    """The models compared on the same folds, with one seed and a fixed number of threads."""

    kinds: tuple[Literal["rule", "logistic", "lightgbm"], ...] = Field(
        default=("rule", "logistic", "lightgbm"), min_length=1
    )
    seed: int = Field(default=2026, ge=0)
    threads: int = Field(default=2, ge=1, le=256)
    rule: RuleSettings = RuleSettings()
    logistic: LogisticSettings = LogisticSettings()
    lightgbm: LightGBMSettings = LightGBMSettings()


class TruthSettings(Section):
    """Where a simulated territory keeps its true probabilities, to judge what was reached.

    `probabilities` is relative to the work folder; `person` maps a system of identifiers to its
    column in that file.
    """

    probabilities: str
    person: dict[str, str] = Field(min_length=1)


class TrainingSettings(Section):
    """The `training:` section: cohort, rupture, folds, models.

    `capacity` is the share of people at risk that services can follow up at each prediction time.
    `label_delay_days` widens every gap by the time that entries of ruptures usually take.

    Example:
        >>> settings = TrainingSettings()
        >>> settings.rupture.first_of, settings.horizon_days, settings.gap_days
        (('R1', 'R5', 'R6', 'R7'), 90, 90)
        >>> TrainingSettings.model_validate({"horizon_days": 0})
        Traceback (most recent call last):
        pydantic_core._pydantic_core.ValidationError: 1 validation error for TrainingSettings
        ...
    """

    cohort: CohortSettings = CohortSettings()
    horizon_days: int = Field(default=90, ge=1)
    rupture: RuptureSettings = RuptureSettings()
    competing: Codes = tuple(
        f"EXIT//PATHWAY//{reason}"
        for reason in (
            "JOB",
            "TRAINING",
            "RIGHTS_NOT_NEEDED",
            "MOVED",
            "RETIRED",
            "DEATH",
            "AGE_LIMIT",
        )
    )
    folds: Folds = RollingFolds()
    label_delay_days: int = Field(default=0, ge=0)
    capacity: float = Field(default=0.05, gt=0, lt=1)
    bootstrap: int = Field(default=200, ge=0, le=10_000)
    models: ModelSettings = ModelSettings()
    subsets: dict[str, Annotated[Codes, Field(min_length=1)]] = Field(default_factory=dict)
    truth: TruthSettings | None = None

    @property
    def gap_days(self) -> int:
        """Days between the last prediction time of one part of a fold and the first of the next."""
        return self.horizon_days + self.label_delay_days

    @model_validator(mode="after")
    def _anchored(self) -> TrainingSettings:
        cutoff = isinstance(self.folds, CutoffFolds)
        if cutoff and not isinstance(self.cohort.schedule, AnchoredSchedule):
            raise ValueError(
                "folds of kind cutoff need a schedule with an anchor. "
                "Hint: Give cohort.schedule.anchor, or folds of kind rolling"
            )
        return self
