"""A feature is codes × window × measure, with its theme and its name; a catalogue is many."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from features.errors import ConfigurationError, DataError
from features.measures import MEASURES, PEER_OPS
from features.windows import PERIODS

__all__ = ["TEXTS", "Catalogue", "Feature", "nearest"]

FORMAT = 2
"""Raised when a definition changes what a value means: matrices before and after do not mix."""

TEXTS = ("theme", "label", "unit", "direction")
"""Fields that say what a feature is called; they do not change its values nor the hash."""


@dataclass(frozen=True)
class Feature:
    """One column of a matrix: which events, over which window, measured how, called what.

    Attributes:
        name: ``{group}.{measure}.{window}``, or ``{group}.{measure}.{of}`` among peers.
        group: The group it comes from.
        measure: A key of :data:`features.measures.MEASURES`.
        window_days: Local calendar days before the prediction time; None is the whole history,
            unless `period` says otherwise.
        theme: The life domain it is told under.
        label: What the group's events are called, by language.
        unit: `count`, `flag`, `days`, `ratio`, `share`, `services`, `cycle`; for a numeric value
            the vocabulary's unit, or `value` where it gives none.
        codes: The events measured, as full codes, sorted.
        services: Only events of these services; None is all.
        among: Denominator of `share`; what breaks a `streak`; what `current` compares with.
        closed_by: Events that close a spell.
        answered_by: Events that answer one.
        match: Whether an answer needs the same `reference`, or only the same `person`.
        answered_by_service: Who may answer: `any` service, any `other` than the event's own, or the
            `receiving` one that the event's text_value names (any other where it names none).
        within: Days before an event counts as unanswered, after which a lapse is forgotten, or
            within which another must follow.
        period: `since` the latest event of `anchor`, or a period of the calendar: `week`, `month`,
            `quarter`, `year`, each also with `last_` before it.
        anchor: Events that the window `since` begins at.
        value_min: Only events with a numeric value of at least this.
        value_max: Only events with a numeric value below this.
        about: Only events with a reference that a known event of these codes has, too.
        alongside: The second kind of spells of `overlap`.
        followed_by: Events that may follow one in `sequences`.
        peers: What makes two people peers: `code`, `service`, `reference` or `text_value` of the
            latest event of `codes`.
        of: Name of the feature compared among peers.
        least: Peers with a value under which nothing is said.
        direction: Whether `higher` or `lower` values usually worry; None where neither does.
    """

    name: str
    group: str
    measure: str
    window_days: int | None
    theme: str
    label: Mapping[str, str] = field(hash=False)
    unit: str
    codes: tuple[str, ...]
    services: tuple[str, ...] | None = None
    among: tuple[str, ...] = ()
    closed_by: tuple[str, ...] = ()
    answered_by: tuple[str, ...] = ()
    match: str = "reference"
    answered_by_service: str = "any"
    within: int | None = None
    period: str | None = None
    anchor: tuple[str, ...] = ()
    value_min: float | None = None
    value_max: float | None = None
    about: tuple[str, ...] = ()
    alongside: tuple[str, ...] = ()
    followed_by: tuple[str, ...] = ()
    peers: str | None = None
    of: str | None = None
    least: int = 1
    direction: str | None = None

    @property
    def window(self) -> str:
        """The window as it stands in the name: ``90d``, ``all``, ``since``, ``last_month``."""
        if self.period is not None:
            return self.period
        return "all" if self.window_days is None else f"{self.window_days}d"

    @property
    def among_peers(self) -> bool:
        """Whether it compares people with each other instead of reading one person's events."""
        return MEASURES[self.measure].op in PEER_OPS

    @property
    def rule(self) -> str:
        """The exact definition of the measure."""
        return MEASURES[self.measure].rule


@dataclass(frozen=True)
class Catalogue:
    """An ordered, frozen set of features; its hash changes when a value could.

    Attributes:
        features: The columns of a matrix, in order.
        timezone: Zone of the local calendar days.
        service_of: Service of each source; a source not named is a service of its own.

    Example:
        >>> seen = Feature("contact.seen.count.90d", "contact.seen", "count", 90, "contact",
        ...                {"fr": "Rendez-vous honorés", "en": "Appointments kept"}, "count",
        ...                ("CONTACT//APPOINTMENT//SEEN",))
        >>> catalogue = Catalogue((seen,))
        >>> catalogue.names, catalogue.groups, len(catalogue.hash)
        (('contact.seen.count.90d',), ('contact.seen',), 64)
        >>> Catalogue.from_json(catalogue.to_json()) == catalogue
        True
        >>> Catalogue.from_json("[]")
        Traceback (most recent call last):
        features.errors.DataError: reading a catalogue. Expected JSON written by \
Catalogue.to_json; got list. Hint: Use the file saved with the model or the matrix.
    """

    features: tuple[Feature, ...]
    timezone: str = "Europe/Paris"
    service_of: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse definitions that would compute something else than they say.

        Raises:
            ConfigurationError: every fault at once.
        """
        names = Counter(feature.name for feature in self.features)
        faults = [f"'{name}' is defined {n} times" for name, n in names.items() if n > 1]
        for feature in self.features:
            faults += [f"'{feature.name}': {fault}" for fault in _faults(feature)]
        if faults:
            raise ConfigurationError(
                f"making a catalogue: {'; '.join(faults[:20])}",
                expected="features of different names, each with what its measure needs",
                got=f"{len(faults)} fault(s)",
                hint="Correct them; build_catalogue makes features from groups.",
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, in the order of their first feature."""
        return tuple(dict.fromkeys(feature.group for feature in self.features))

    @cached_property
    def hash(self) -> str:
        """Sha256 of all that decides values: zone, services, codes, windows, measures, rules."""
        decisive = [one.name for one in fields(Feature) if one.name not in TEXTS]
        digest = hashlib.sha256()
        said = [FORMAT, self.timezone, sorted(self.service_of.items())]
        digest.update(json.dumps(said).encode())
        for feature in self.features:
            values = [getattr(feature, name) for name in decisive]
            digest.update(json.dumps([*values, feature.rule]).encode())
        return digest.hexdigest()

    def __hash__(self) -> int:
        """So that what is compiled for a catalogue can be kept by it."""
        return int(self.hash[:15], 16)

    def __len__(self) -> int:
        """Number of features."""
        return len(self.features)

    @cached_property
    def places(self) -> dict[str, int]:
        """Column of each feature by its name."""
        return {name: place for place, name in enumerate(self.names)}

    def feature(self, name: str) -> Feature:
        """The feature of a name.

        Raises:
            ConfigurationError: no such feature, with the nearest name.
        """
        if name in self.places:
            return self.features[self.places[name]]
        raise ConfigurationError(
            f"looking up feature '{name}'",
            expected=f"one of the catalogue's {len(self.features)} features",
            hint=nearest(name, self.names),
        )

    def only(self, names: Iterable[str]) -> Catalogue:
        """The same definitions, fewer of them, in the order asked for."""
        return Catalogue(
            tuple(self.feature(name) for name in names), self.timezone, self.service_of
        )

    def to_json(self) -> str:
        """The whole catalogue as text, to be kept beside a model or a matrix."""
        content = {
            "format": FORMAT,
            "hash": self.hash,
            "timezone": self.timezone,
            "service_of": dict(self.service_of),
            "features": [
                asdict(feature) | {"label": dict(feature.label)} for feature in self.features
            ],
        }
        return json.dumps(content, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Catalogue:
        """Read what `to_json` wrote.

        Raises:
            DataError: other content, an unknown measure, or text changed since.
        """
        try:
            content = json.loads(text)
            found = cls(
                tuple(_feature(item) for item in content["features"]),
                content["timezone"],
                content["service_of"],
            )
            same = content["hash"] == found.hash
        except (ValueError, KeyError, TypeError, ConfigurationError) as error:
            raise DataError(
                "reading a catalogue",
                expected="JSON written by Catalogue.to_json",
                got=type(json.loads(text)).__name__ if _is_json(text) else "no JSON",
                hint="Use the file saved with the model or the matrix.",
            ) from error
        if not same:
            raise DataError(
                "reading a catalogue: its hash is not that of its features",
                expected="definitions as they were written, by this version of the rules",
                got=f"{len(found.features)} features, format {content.get('format')}",
                hint="Build the matrix and train again.",
            )
        return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _feature(item: Mapping[str, Any]) -> Feature:
    lists = {k: tuple(v) for k, v in item.items() if isinstance(v, list)}
    feature = Feature(**{**item, **lists})
    if feature.measure not in MEASURES:
        raise KeyError(feature.measure)
    return feature


def _faults(feature: Feature) -> Iterator[str]:
    """What is wrong with one feature."""
    measure = MEASURES.get(feature.measure)
    if measure is None:
        yield f"no measure '{feature.measure}'. {nearest(feature.measure, MEASURES)}"
        return
    days, period = feature.window_days, feature.period
    if days is not None and days < 1:
        yield f"a window of {days} days"
    if period is not None and (days is not None or not _is_period(period)):
        yield f"window '{period}' is no period, or stands beside days"
    if measure.windows == "days" and days is None:
        yield f"'{feature.measure}' needs days"
    windowed = days is not None or period is not None
    if measure.windows == "all" and measure.op not in PEER_OPS and windowed:
        yield f"'{feature.measure}' looks at all of it"
    if period == "since" and not feature.anchor:
        yield "window 'since' needs 'anchor'"
    for need in measure.needs:
        if need != "planned" and not getattr(feature, need):
            yield f"'{feature.measure}' needs '{need}'"
    if feature.answered_by_service != "any" and feature.match != "person":
        yield "answered_by_service goes by person"


def _is_period(period: str) -> bool:
    return period == "since" or period.removeprefix("last_") in PERIODS


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the known name that resembles it most, or all known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    few = ", ".join(names[:12])
    return f"Known: {few}{', …' if len(names) > 12 else ''}."
