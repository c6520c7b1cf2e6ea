"""Groups of a territory file to a catalogue: patterns, windows and needs, checked whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from pydantic import ValidationError

from features.catalogue import Catalogue, Feature, nearest
from features.errors import ConfigurationError
from features.events import WITHDRAWN
from features.measures import MEASURES, Measure
from features.settings import FeatureGroup, FeaturesSettings
from features.yaml_text import read_yaml

if TYPE_CHECKING:
    from features.vocabulary import Vocabulary

__all__ = ["build_catalogue", "default_groups"]

_PATTERNS = ("among", "closed_by", "answered_by", "alongside", "followed_by", "anchor", "about")
"""Fields of a group that hold code patterns, besides `codes`."""
_HOW: Mapping[str, str] = {
    "within": "within: 30",
    "peers": "peers: service",
    "of": "of: [name of a feature]",
}
"""How a field is written that is no list of codes."""


@cache
def default_groups() -> tuple[FeatureGroup, ...]:
    """The groups of the catalogue that ships with Jalon (`features/catalogue.yaml`).

    Raises:
        ConfigurationError: the file does not hold groups.
    """
    text = (files("features") / "catalogue.yaml").read_text(encoding="utf-8")
    try:
        return tuple(FeatureGroup.model_validate(item) for item in read_yaml(text)["groups"])
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

    Example:
        >>> source = {"service": "social", "reader": "csv", "tables": [{"path": "x.csv",
        ...           "row_key": "id", "events": [{"code": "NEED//HEALTH//RAISED",
        ...                                        "recorded_at": "entered"}]}],
        ...           "person": {"system": "social", "columns": "id"}}
        >>> group = {"name": "needs", "codes": "NEED//*//RAISED", "theme": "needs",
        ...          "label": {"fr": "Besoins", "en": "Needs"},
        ...          "measures": {"count": ["30d", "all"]}}
        >>> def section(**changes):
        ...     return FeaturesSettings.model_validate({
        ...         "observation": {"since": "2024-01-01", "until": "2026-01-01"},
        ...         "sources": {"social": source},
        ...         "catalogue": {"extends": "none", "groups": [group | changes]}})
        >>> build_catalogue(section()).names
        ('needs.count.30d', 'needs.count.all')
        >>> build_catalogue(section(codes="NEED//*//FELT"))
        Traceback (most recent call last):
        features.errors.ConfigurationError: building the catalogue: 1 fault(s)
          group 'needs': codes: pattern 'NEED//*//FELT' matches no code. Did you mean ...
    """
    from features.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(settings.vocabulary)
    default = default_groups() if settings.catalogue.extends == "default" else ()
    faults: list[str] = []
    features: list[Feature] = []
    groups = [(group, _nowhere) for group in default]
    for at, group in enumerate(settings.catalogue.groups):
        groups.append((group, partial(settings.place, "catalogue", "groups", at)))
    for group, place in groups:
        features += _Definition(group, vocabulary, settings.services, faults, place).features()
    twice = [
        name for name, times in Counter(group.name for group, _ in groups).items() if times > 1
    ]
    faults += _twice(groups, twice, {group.name for group in default})
    faults += _same_feature([feature.name for feature in features if feature.group not in twice])
    places = {group.name: place for group, place in groups}
    faults += _references(features, places)
    features = _compared_units(features)
    if not features and not faults:
        faults.append("no feature at all. Hint: Add groups, or extends: default")
    if faults:
        lines = "\n  ".join(dict.fromkeys(faults))
        raise ConfigurationError(f"building the catalogue: {len(faults)} fault(s)\n  {lines}")
    service_of = {name: source.service for name, source in settings.sources.items()}
    return Catalogue(tuple(features), settings.timezone, service_of)


Place = Callable[..., str]
"""Where a key of a group stands in the territory file: ``file:line: ``, or nothing."""


def _nowhere(*path: str | int) -> str:
    """The default catalogue is in no territory's file."""
    return ""


def _twice(
    groups: Sequence[tuple[FeatureGroup, Place]], twice: Sequence[str], default: set[str]
) -> Iterator[str]:
    """Faults of groups of one name: a territory's own, or one of its own and a default one."""
    for name in sorted(twice):
        places = [place for group, place in groups if group.name == name]
        said = f"{places[-1]('name')}group '{name}' is defined {len(places)} times"
        if name in default:
            said += ", once in the default catalogue. Hint: Rename your own, or set 'extends: none'"
        else:
            said += ". Hint: Rename one, or put their measures into one group"
        yield said


def _same_feature(names: Sequence[str]) -> list[str]:
    return [
        f"feature '{name}' is defined {times} times. Hint: Rename one of its groups"
        for name, times in sorted(Counter(names).items())
        if times > 1
    ]


def _references(features: Sequence[Feature], places: Mapping[str, Place]) -> list[str]:
    """Faults of features that compare another: there must be one, of one person's own events."""
    known = {feature.name: feature for feature in features}
    faults = []
    for feature in features:
        if feature.of is None:
            continue
        place = places.get(feature.group, _nowhere)
        where = f"{place('of')}group '{feature.group}': of"
        if feature.of not in known:
            own = [one for one in known if not known[one].among_peers]
            faults.append(f"{where}: no feature '{feature.of}'. {nearest(feature.of, own)}")
        elif known[feature.of].among_peers:
            faults.append(f"{where}: '{feature.of}' compares peers itself. Hint: Name another")
    return faults


def _compared_units(features: Sequence[Feature]) -> list[Feature]:
    """The same features; a mean over peers has the unit of what it is the mean of."""
    units = {feature.name: feature.unit for feature in features}
    return [
        replace(feature, unit=units.get(feature.of, feature.unit))
        if feature.of is not None and feature.measure == "group_mean"
        else feature
        for feature in features
    ]


@dataclass
class _Definition:
    """One group on its way to features; what is wrong is added to `faults`."""

    group: FeatureGroup
    vocabulary: Vocabulary
    services: Sequence[str]
    faults: list[str]
    place: Place
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def features(self) -> Iterator[Feature]:
        """Every feature of the group, in the order of measures and windows."""
        group = self.group
        patterns = [*group.codes, *(f"{domain}//*" for domain in group.domain)]
        codes = self.codes(patterns, "codes")
        for name in _PATTERNS:
            self.known[name] = self.codes(getattr(group, name) or (), name)
        self.faults += [
            f"{self.at('services')}: unknown service '{service}'. {nearest(service, self.services)}"
            for service in group.services or ()
            if service not in self.services
        ]
        among = self.known["among"]
        if among and codes and not set(codes) <= set(among):
            odd = len(set(codes) - set(among))
            self.faults.append(
                f"{self.at('among')}: {odd} code(s) are not in 'among'. Hint: Add them to 'among'"
            )
        if group.peers is not None and self.known["about"]:
            self.faults.append(
                f"{self.at('about')}: 'about' has no meaning among peers. Hint: Remove it"
            )
        if group.answered_by_service != "any" and group.match != "person":
            self.faults.append(
                f"{self.at('answered_by_service')}: answered_by_service: "
                f"{group.answered_by_service} goes by person. Hint: Add 'match: person'"
            )
        if group.each:
            for code in codes:
                yield from self.measured(f"{group.name}.{_slug(code)}", (code,))
        else:
            yield from self.measured(group.name, codes)

    def at(self, *path: str) -> str:
        """A key of the group in words, with its line where there is a file."""
        return f"{self.place(*path)}group '{self.group.name}'"

    def measured(self, called: str, codes: tuple[str, ...]) -> Iterator[Feature]:
        """The features of every measure over some codes."""
        group = self.group
        label = group.label or self.vocabulary[codes[0]].label
        texts = {"fr": label.fr, "en": label.en}
        for name, windows in group.measures.items():
            measure, where = MEASURES.get(name), self.at("measures", name)
            if measure is None:
                self.faults.append(f"{where}: unknown measure '{name}'. {nearest(name, MEASURES)}")
                continue
            used = self.used(name, measure, codes)
            if not windows:
                self.faults.append(f"{where}: measure '{name}' has no window. Hint: Write [all]")
            for window in windows:
                self.check(name, measure, window)
                for of in self.compared(measure):
                    yield self.feature(called, texts, name, measure, window, used, of)

    def feature(
        self,
        called: str,
        label: dict[str, str],
        name: str,
        measure: Measure,
        window: str,
        codes: tuple[str, ...],
        of: str | None,
    ) -> Feature:
        """One feature, with only the fields its measure looks at."""
        group = self.group
        answers, follows = "answered_by" in measure.needs, "followed_by" in measure.needs
        spells = name in ("open_spells", "open_spell_age", "days_to_spell_end", "overlap")
        days = int(window[:-1]) if window[0].isdigit() else None
        ranged = group.value if measure.needs else None
        return Feature(
            name=f"{called}.{name}.{window if of is None else of}",
            group=called,
            measure=name,
            window_days=days,
            theme=group.theme,
            label=label,
            unit=_unit(measure, codes, self.vocabulary),
            codes=codes,
            services=tuple(sorted(set(group.services))) if group.services else None,
            among=self.known["among"] if "among" in measure.needs else (),
            closed_by=self.known["closed_by"] if spells else (),
            answered_by=self.known["answered_by"] if answers else (),
            match=group.match if answers or follows else "reference",
            answered_by_service=group.answered_by_service if answers else "any",
            within=group.within if answers or follows or name == "days_to_spell_end" else None,
            period=None if days is not None or window == "all" else window,
            anchor=self.known["anchor"] if window == "since" else (),
            value_min=None if ranged is None else ranged.min,
            value_max=None if ranged is None else ranged.max,
            about=self.known["about"] if measure.needs else (),
            alongside=self.known["alongside"] if "alongside" in measure.needs else (),
            followed_by=self.known["followed_by"] if follows else (),
            peers=group.peers if "peers" in measure.needs else None,
            of=of,
            least=group.least if "peers" in measure.needs else 1,
            direction=group.direction,
        )

    def compared(self, measure: Measure) -> Sequence[str | None]:
        """The features that a measure compares among peers; one None for any other measure."""
        return self.group.of or () if measure.windows == "of" else (None,)

    def check(self, name: str, measure: Measure, window: str) -> None:
        """Faults of one window of a measure."""
        where = self.at("measures", name)
        if measure.windows in ("all", "of") and window != "all":
            self.faults.append(f"{where}: '{name}' looks at all of it. Hint: Write [all]")
        if measure.windows == "days" and not window[0].isdigit():
            self.faults.append(f"{where}: '{name}' needs days. Hint: Write [90d]")
        if window == "since" and not self.group.anchor:
            self.faults.append(
                f"{where}: window 'since' needs 'anchor'. Hint: Add 'anchor: [...]' to the group"
            )

    def codes(self, patterns: Sequence[str], field_name: str) -> tuple[str, ...]:
        """The codes of patterns, sorted; a fault for each pattern that matches none."""
        where = f"{self.at(field_name)}: {field_name}"
        found: set[str] = set()
        for pattern in patterns:
            if "*" in pattern:
                matching = self.vocabulary.matching(pattern)
                if not matching:
                    near = nearest(pattern.replace("*", ""), self.vocabulary.codes)
                    self.faults.append(f"{where}: pattern '{pattern}' matches no code. {near}")
                found.update(matching)
            elif pattern in self.vocabulary:
                found.add(pattern)
            else:
                near = nearest(pattern, self.vocabulary.codes)
                self.faults.append(f"{where}: unknown code '{pattern}'. {near}")
        return tuple(sorted(found - {WITHDRAWN}))

    def used(self, name: str, measure: Measure, codes: tuple[str, ...]) -> tuple[str, ...]:
        """The codes a measure looks at; a fault for each field it needs and does not have."""
        where = f"{self.at('measures', name)}: measure '{name}'"
        given = {"codes": self.group.codes or self.group.domain}
        self.faults += [
            f"{where} needs '{need}'. Hint: Add '{_HOW.get(need, f'{need}: [...]')}' to the group"
            for need in measure.needs
            if need != "planned" and not given.get(need, getattr(self.group, need))
        ]
        if "planned" not in measure.needs:
            return codes if measure.needs else ()
        planned = tuple(code for code in codes if code in self.vocabulary.planned)
        if codes and not planned:
            known = ", ".join(sorted(self.vocabulary.planned))
            self.faults.append(f"{where}: no code is known ahead. Hint: Those that are: {known}")
        return planned


def _slug(code: str) -> str:
    return code.lower().replace("//", "_")


def _unit(measure: Measure, codes: Sequence[str], vocabulary: Vocabulary) -> str:
    if measure.unit != "value":
        return measure.unit
    units = {vocabulary[code].unit for code in codes}
    only = units.pop() if len(units) == 1 else None
    return only or "value"
