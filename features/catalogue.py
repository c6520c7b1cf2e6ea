"""A feature is codes × window × measure, with its theme and its name; a catalogue is many."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from features.errors import ConfigurationError, DataError
from features.events import WITHDRAWN
from features.measures import MEASURES, Measure
from features.settings import FeatureGroup, FeaturesSettings

if TYPE_CHECKING:
    from features.vocabulary import Vocabulary

__all__ = ["Catalogue", "Feature", "build_catalogue", "default_groups"]

FORMAT = 1
"""Raised when a definition changes what a value means: matrices before and after do not mix."""

_TEXTS = ("theme", "label", "unit")
"""Fields that say what a feature is called; they do not change its values nor the hash."""


@dataclass(frozen=True)
class Feature:
    """One column of a matrix: which events, over which window, measured how, called what.

    Attributes:
        name: ``{group}.{measure}.{window}``.
        group: The group it comes from.
        measure: A key of :data:`features.measures.MEASURES`.
        window_days: Local calendar days before the prediction time; None is the whole history.
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
        within: Days before an event counts as unanswered, or after which a lapse is forgotten.
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

    @property
    def window(self) -> str:
        """The window as it stands in the name: ``90d`` or ``all``."""
        return "all" if self.window_days is None else f"{self.window_days}d"

    @property
    def rule(self) -> str:
        """The exact definition of the measure."""
        return MEASURES[self.measure].rule


@dataclass(frozen=True)
class Catalogue:
    """An ordered, frozen set of features; its hash changes when a value could.

    Attributes:
        features: The columns of a matrix, in order.

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
        """Sha256 of all that decides the values: names, codes, windows, measures, rules."""
        lines = [
            {k: v for k, v in asdict(feature).items() if k not in _TEXTS} | {"rule": feature.rule}
            for feature in self.features
        ]
        text = json.dumps([FORMAT, lines], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def __hash__(self) -> int:
        """So that what is compiled for a catalogue can be kept by it."""
        return int(self.hash[:15], 16)

    def __len__(self) -> int:
        """Number of features."""
        return len(self.features)

    def feature(self, name: str) -> Feature:
        """The feature of a name.

        Raises:
            ConfigurationError: no such feature, with the nearest name.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise ConfigurationError(
            f"looking up feature '{name}'",
            expected=f"one of the catalogue's {len(self.features)} features",
            hint=_nearest(name, self.names),
        )

    def to_json(self) -> str:
        """The whole catalogue as text, to be kept beside a model or a matrix."""
        content = {
            "format": FORMAT,
            "hash": self.hash,
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
            found = cls(tuple(_feature(item) for item in content["features"]))
            same = content["hash"] == found.hash
        except (ValueError, KeyError, TypeError) as error:
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


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(sorted(known))}."


@cache
def default_groups() -> tuple[FeatureGroup, ...]:
    """The groups of the catalogue that ships with Jalon (`features/catalogue.yaml`).

    Raises:
        ConfigurationError: the file does not hold groups.
    """
    text = (files("features") / "catalogue.yaml").read_text(encoding="utf-8")
    try:
        return tuple(FeatureGroup.model_validate(item) for item in yaml.safe_load(text)["groups"])
    except ValidationError as error:
        lines = "\n  ".join(f"{e['loc']}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigurationError(f"reading features/catalogue.yaml\n  {lines}") from error


def build_catalogue(settings: FeaturesSettings) -> Catalogue:
    """The features that a territory asks for, checked whole: patterns, measures, windows, needs.

    Args:
        settings: The `features:` section. Its own groups come after the default ones.

    Returns:
        The catalogue, in the order of the groups, measures and windows.

    Raises:
        ConfigurationError: every fault of every group at once, each with its remedy.
    """
    from features.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(settings.vocabulary)
    default = default_groups() if settings.catalogue.extends == "default" else ()
    faults: list[str] = []
    features: list[Feature] = []
    groups = (*default, *settings.catalogue.groups)
    for group in groups:
        features += _group_features(group, vocabulary, settings.services, faults)
    faults += _doubles("group", [group.name for group in groups])
    faults += _doubles("feature", [feature.name for feature in features])
    if not features and not faults:
        faults.append("no feature at all. Hint: Add groups, or extends: default")
    if faults:
        lines = "\n  ".join(dict.fromkeys(faults))
        raise ConfigurationError(f"building the catalogue: {len(faults)} fault(s)\n  {lines}")
    return Catalogue(tuple(features))


def _doubles(what: str, names: Sequence[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return [
        f"{what} '{name}' is defined {names.count(name)} times. Hint: Rename one, or set "
        "'extends: none'"
        for name in twice
    ]


def _group_features(
    group: FeatureGroup, vocabulary: Vocabulary, services: Sequence[str], faults: list[str]
) -> list[Feature]:
    where = f"group '{group.name}'"
    codes = _codes(group.codes, vocabulary, f"{where}: codes", faults)
    among = _codes(group.among or (), vocabulary, f"{where}: among", faults)
    closed_by = _codes(group.closed_by or (), vocabulary, f"{where}: closed_by", faults)
    answered_by = _codes(group.answered_by or (), vocabulary, f"{where}: answered_by", faults)
    faults += [
        f"{where}: unknown service '{service}'. {_nearest(service, services)}"
        for service in group.services or ()
        if service not in services
    ]
    if among and codes and not set(codes) <= set(among):
        odd = len(set(codes) - set(among))
        faults.append(f"{where}: {odd} code(s) are not in 'among'. Hint: Add them to 'among'")
    if group.answered_by_service != "any" and group.match != "person":
        faults.append(
            f"{where}: answered_by_service: {group.answered_by_service} goes by person. "
            "Hint: Add 'match: person'"
        )
    found = []
    for name, windows in group.measures.items():
        measure = MEASURES.get(name)
        if measure is None:
            faults.append(f"{where}: unknown measure '{name}'. {_nearest(name, MEASURES)}")
            continue
        used = _used(group, name, measure, codes, vocabulary, faults)
        if not windows:
            faults.append(f"{where}: measure '{name}' has no window. Hint: Write [all]")
        for window in windows:
            if measure.windows == "all" and window != "all":
                faults.append(f"{where}: '{name}' looks at all of it. Hint: Write [all]")
            if measure.windows == "days" and window == "all":
                faults.append(f"{where}: '{name}' needs days. Hint: Write [90d]")
            answers = measure.needs == ("codes", "answered_by")
            spell = name.startswith(("open_spell", "days_to_spell_end"))
            found.append(
                Feature(
                    name=f"{group.name}.{name}.{window}",
                    group=group.name,
                    measure=name,
                    window_days=None if window == "all" else int(window[:-1]),
                    theme=group.theme,
                    label={"fr": group.label.fr, "en": group.label.en},
                    unit=_unit(measure, used, vocabulary),
                    codes=used,
                    services=tuple(sorted(set(group.services))) if group.services else None,
                    among=among if "among" in measure.needs else (),
                    closed_by=closed_by if spell else (),
                    answered_by=answered_by if answers else (),
                    match=group.match if answers else "reference",
                    answered_by_service=group.answered_by_service if answers else "any",
                    within=group.within if answers or name == "days_to_spell_end" else None,
                )
            )
    return found


def _codes(
    patterns: Sequence[str], vocabulary: Vocabulary, where: str, faults: list[str]
) -> tuple[str, ...]:
    found: set[str] = set()
    for pattern in patterns:
        if "*" in pattern:
            matching = vocabulary.matching(pattern)
            if not matching:
                near = _nearest(pattern.replace("*", ""), vocabulary.codes)
                faults.append(f"{where}: pattern '{pattern}' matches no code. {near}")
            found.update(matching)
        elif pattern in vocabulary:
            found.add(pattern)
        else:
            faults.append(
                f"{where}: unknown code '{pattern}'. {_nearest(pattern, vocabulary.codes)}"
            )
    return tuple(sorted(found - {WITHDRAWN}))


def _used(
    group: FeatureGroup,
    name: str,
    measure: Measure,
    codes: tuple[str, ...],
    vocabulary: Vocabulary,
    faults: list[str],
) -> tuple[str, ...]:
    """The codes a measure looks at; a fault for each field it needs and does not have."""
    where = f"group '{group.name}': measure '{name}'"
    faults += [
        f"{where} needs '{need}'. Hint: Add '{need}: [...]' to the group"
        for need in measure.needs
        if need != "planned" and not getattr(group, need)
    ]
    if "planned" not in measure.needs:
        return codes if measure.needs else ()
    planned = tuple(code for code in codes if code in vocabulary.planned)
    if codes and not planned:
        known = ", ".join(sorted(vocabulary.planned))
        faults.append(f"{where}: no code is known ahead. Hint: Those that are: {known}")
    return planned


def _unit(measure: Measure, codes: Sequence[str], vocabulary: Vocabulary) -> str:
    if measure.unit != "value":
        return measure.unit
    units = {vocabulary[code].unit for code in codes}
    only = units.pop() if len(units) == 1 else None
    return only or "value"
