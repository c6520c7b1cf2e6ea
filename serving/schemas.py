"""Bodies of requests and answers: what a calling service may write, and what it reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from serving.settings import Band, Language

__all__ = [
    "Answer",
    "EventIn",
    "Item",
    "ItemReasons",
    "PersonIn",
    "ReasonOut",
    "ScoreRequest",
    "TimelineIn",
    "TimelinesRequest",
]

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
FLOAT32 = 3.4028234e38

Short = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]
Moment = Annotated[str, StringConstraints(strict=True, min_length=8, max_length=40)]


def _believable(value: datetime) -> datetime:
    if not EARLIEST <= value < LATEST:
        raise ValueError("should be an instant of the years 1900 to 2199")
    return value


Instant = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_believable)]


class Body(BaseModel):
    """A body that refuses unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PersonIn(Body):
    """A person by an identifier of the calling service."""

    id: (
        Annotated[StrictStr, Field(min_length=1, max_length=100)]
        | Annotated[StrictInt, Field(ge=0, lt=10**18)]
    ) = Field(description="The identifier in that system; a number is read as its digits.")
    system: Short | None = Field(
        default=None,
        description="The system of the identifier; by default the calling service's own.",
    )


class ScoreRequest(Body):
    """People to score."""

    persons: list[PersonIn] = Field(min_length=1)
    prediction_time: Moment | None = Field(
        default=None,
        description="ISO 8601 date (its first instant, local) or instant (local without offset). "
        "Only what was known before it counts.",
    )
    lang: Language | None = None


class EventIn(Body):
    """One event of a timeline; instants carry their offset. `time` null: a static fact."""

    time: Instant | None = None
    code: Short
    numeric_value: Annotated[float, Field(strict=True, ge=-FLOAT32, le=FLOAT32)] | None = None
    text_value: Short | None = None
    recorded_at: Instant
    end_time: Instant | None = None
    source: Short
    source_code: Short | None = None
    reference: Short | None = None
    event_id: Short | None = Field(
        default=None, description="Versions of one event share it; by default each is its own."
    )


class TimelineIn(Body):
    """All events of one person, versions included."""

    events: list[EventIn]


class TimelinesRequest(Body):
    """Timelines to score; nothing of them is kept."""

    timelines: list[TimelineIn] = Field(min_length=1)
    prediction_time: Moment | None = None
    lang: Language | None = None


class ReasonOut(Body):
    """A reason: a domain of life, how much it weighs, and the facts observed."""

    theme: str
    label: str
    strength: str
    facts: list[str]


class ItemReasons(Body):
    """What raises and what lowers the risk, strongest first."""

    raises: list[ReasonOut]
    lowers: list[ReasonOut]


class Item(Body):
    """The answer for one person or timeline, at the index of the request."""

    index: int
    status: Literal["scored", "unknown_person", "not_at_risk", "objects"]
    message: str | None = None
    score_id: str | None = None
    risk: float | None = Field(default=None, ge=0, le=1)
    band: Band | None = None
    band_label: str | None = None
    reasons: ItemReasons | None = None


class Answer(Body):
    """The answers, in the order of the request, with what they were computed from."""

    territory: str
    model: str
    model_version: str
    prediction_time: str
    data_version: int | None
    lang: Language
    results: list[Item]
