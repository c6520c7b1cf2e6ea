"""The `serving:` section of the territory file."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, field_validator, model_validator

from features.settings import Section

__all__ = ["Band", "Bands", "Language", "ServingSettings"]

Band = Literal["high", "medium", "low"]
Language = Literal["fr", "en"]


class Bands(Section):
    """Where the calibrated risk is called high and medium; below both it is low.

    A band is a word for people who read many scores; the thresholds are the territory's choice,
    from the help it can give. A risk equal to a threshold is in the higher band.

    Example:
        >>> bands = Bands(high=0.4, medium=0.2)
        >>> [bands.of(risk) for risk in (0.4, 0.39, 0.2, 0.0)]
        ['high', 'medium', 'medium', 'low']
        >>> Bands(high=0.2, medium=0.4)
        Traceback (most recent call last):
        pydantic_core._pydantic_core.ValidationError: 1 validation error for Bands...
    """

    high: float = Field(default=0.30, gt=0, le=1)
    medium: float = Field(default=0.15, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Bands:
        if self.medium >= self.high:
            raise ValueError("medium must be lower than high. Hint: Exchange the two thresholds")
        return self

    def of(self, risk: float) -> Band:
        """The band of a calibrated risk between 0 and 1."""
        if risk >= self.high:
            return "high"
        return "medium" if risk >= self.medium else "low"


class ServingSettings(Section):
    """The `serving:` section: where the service listens, its state, its bands and its limits.

    `database` is a SQLAlchemy URL; without one the state lies in `state.db` of the work folder.
    `JALON_DATABASE` in the environment comes before it, so that a password stays out of the file.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    database: str | None = None
    bands: Bands = Bands()
    language: Language = "fr"
    max_persons: int = Field(default=100, ge=1, le=10_000)
    max_timelines: int = Field(default=100, ge=1, le=10_000)
    max_events: int = Field(default=20_000, ge=1, le=1_000_000)
    max_body_bytes: int = Field(default=4_194_304, ge=1_024, le=268_435_456)
    timeout_seconds: float = Field(default=30.0, ge=1.0, le=600.0)
    refresh_seconds: float = Field(default=30.0, ge=0.0, le=86_400.0)

    @field_validator("host")
    @classmethod
    def _address(cls, value: str) -> str:
        if value == "localhost":
            return "127.0.0.1"
        try:
            ipaddress.ip_address(value)
        except ValueError as error:
            raise ValueError(
                "host is no IP address. Hint: Write 127.0.0.1, or 0.0.0.0 for every network"
            ) from error
        return value

    @field_validator("database")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sqlite:", "postgresql:", "postgresql+")):
            raise ValueError(
                "database is neither SQLite nor PostgreSQL. "
                "Hint: Write postgresql://user@host/name, or leave it out"
            )
        return value
