"""What a catalogue holds, for a person to read: lists of features, and all about one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from features.catalogue import Catalogue, Feature, nearest
from features.code_sources import sources_of
from features.errors import ConfigurationError
from features.facts import LANGUAGES, days_text, window_text
from features.measures import MEASURES
from features.texts import read_texts

if TYPE_CHECKING:
    from features.settings import FeaturesSettings
    from features.vocabulary import Vocabulary

__all__ = ["PHRASES", "describe", "described_lines", "listing", "measures_table", "say"]

PHRASES: Mapping[str, str] = {
    "count": "how many",
    "any": "whether there is one",
    "sum": "total of the values",
    "mean": "mean of the values",
    "max": "largest value",
    "min": "smallest value",
    "std": "spread of the values",
    "slope": "how the values rise or fall",
    "last": "latest value",
    "days_since_last": "days since the latest one",
    "days_since_first": "days since the first one",
    "tenure": "days since the first one",
    "days_to_next": "days to the next one known ahead",
    "ahead": "how many are known ahead",
    "active_days": "on how many days",
    "longest_gap": "longest gap between two days",
    "mean_gap": "usual gap between two days",
    "current_over_usual_gap": "present gap, in usual gaps",
    "trend": "more or fewer than in the window before",
    "trend_ratio": "how many times those of the window before",
    "share": "share of all events it is counted among",
    "streak": "how many in a row, up to now",
    "current": "whether the latest event is one",
    "open_spells": "how many are under way",
    "open_spell_age": "for how long the oldest is under way",
    "days_to_spell_end": "days to the nearest planned end",
    "overlap": "for how long two kinds are under way together",
    "active_services": "how many services",
    "distinct_codes": "how many kinds",
    "distinct_references": "how many different files",
    "dominant_share": "share of the service that has most",
    "sequences": "how many are followed in time",
    "sequence_delay": "mean delay until what follows",
    "answer_delay": "median delay until the answer",
    "unanswered": "how many have no answer",
    "days_unanswered": "for how long the oldest has no answer",
    "day_of_month": "day of the month",
    "month_sin": "time of the year, as a sine",
    "month_cos": "time of the year, as a cosine",
    "rank": "place among peers",
    "group_size": "how many peers",
    "group_mean": "mean of the peers",
}
"""What each measure says, in a few words that follow a group's label."""

_UNITS: Mapping[str, str] = {
    "count": "a number",
    "flag": "1 for yes, 0 for no",
    "value": "as in the source",
    "days": "days",
    "ratio": "a ratio",
    "share": "a share, from 0 to 1",
    "services": "a number of services",
    "cycle": "a place in the calendar",
    "slope": "units of the value for 30 days",
    "EUR": "euros",
    "EUR/month": "euros a month",
    "hours/week": "hours a week",
}
_DIRECTIONS: Mapping[str | None, str] = {
    "higher": "higher values usually worry",
    "lower": "lower values usually worry",
    None: "neither way by itself",
}
_ROLES: Mapping[str, str] = {
    "codes": "events measured",
    "among": "counted among",
    "closed_by": "closed by",
    "answered_by": "answered by",
    "followed_by": "followed by",
    "alongside": "alongside",
    "anchor": "window begins at",
    "about": "of the same file as",
}
_WHO: Mapping[str, str] = {
    "any": "any service",
    "other": "another service",
    "receiving": "the service that receives",
}
_PEERS: Mapping[str, str] = {
    "code": "the same code of the latest of these events",
    "service": "the same service of the latest of these events",
    "reference": "the same file of the latest of these events",
    "text_value": "the same category of the latest of these events",
}
_FIELDS: Mapping[str, str] = {
    "time": "time",
    "recorded_at": "recorded",
    "end_time": "end",
    "numeric_value": "value",
    "text_value": "category",
    "reference": "file",
}
"""What each field of an event is called, as in the table of `explain`."""
_STATES: Mapping[str, str] = {"present": "filled", "absent": "empty"}


def _french() -> dict[str, str]:
    return read_texts("features", "fr", "catalogue")


def say(text: str, lang: str) -> str:
    """A text of this module or a rule of a measure, in a language.

    Args:
        text: English.
        lang: `fr` or `en`.

    Raises:
        ConfigurationError: another language, or a text without a translation.

    Example:
        >>> say("how many", "fr")
        'nombre'
        >>> say("how much", "fr")
        Traceback (most recent call last):
        features.errors.ConfigurationError: translating 'how much'. Expected the text in \
features/locale/catalogue.fr.po. Hint: Add it.
    """
    if lang not in LANGUAGES:
        raise ConfigurationError(
            f"describing features in '{lang}'",
            expected=" or ".join(LANGUAGES),
            hint="Ask for one of those.",
        )
    if lang == "en":
        return text
    if text not in _french():
        raise ConfigurationError(
            f"translating '{text}'",
            expected="the text in features/locale/catalogue.fr.po",
            hint="Add it.",
        )
    return _french()[text]


def listing(
    catalogue: Catalogue,
    vocabulary: Vocabulary,
    lang: str = "fr",
    *,
    theme: str | None = None,
    group: str | None = None,
    search: str | None = None,
) -> list[dict[str, str]]:
    """The features of a catalogue as rows: name, theme, unit, window, what it says.

    Args:
        catalogue: Which features.
        vocabulary: For the names of the themes.
        lang: `fr` or `en`.
        theme: Only those of this theme, by its name in the file or in words.
        group: Only those of this group.
        search: Only those with this text in their name or their words, in any case.

    Raises:
        ConfigurationError: no feature of that theme or group, with those there are.

    Example:
        >>> from features.vocabulary import Vocabulary
        >>> seen = Feature("contact.seen.count.90d", "contact.seen", "count", 90, "contact",
        ...                {"fr": "Rendez-vous honorés", "en": "Appointments kept"}, "count",
        ...                ("CONTACT//APPOINTMENT//SEEN",))
        >>> catalogue, vocabulary = Catalogue((seen,)), Vocabulary.load()
        >>> listing(catalogue, vocabulary, "en")[0]["says"]
        'Appointments kept: how many, in 90 days'
        >>> listing(catalogue, vocabulary, "en", search="missed")
        []
        >>> listing(catalogue, vocabulary, "en", theme="housing")
        Traceback (most recent call last):
        features.errors.ConfigurationError: listing features: no theme 'housing'. Expected one of \
contact. Hint: Leave it out to see all.
    """
    rows = [(feature, _row(feature, vocabulary, lang)) for feature in catalogue.features]
    if theme is not None:
        asked, known = theme.casefold(), sorted({f.theme for f in catalogue.features})
        rows = [(f, r) for f, r in rows if asked in (f.theme.casefold(), r["theme"].casefold())]
        if not rows:
            raise ConfigurationError(
                f"listing features: no theme '{theme}'",
                expected=f"one of {', '.join(known)}",
                hint="Leave it out to see all.",
            )
    if group is not None:
        rows = [(f, r) for f, r in rows if f.group == group]
        if not rows:
            raise ConfigurationError(
                f"listing features: no group '{group}'",
                expected=f"one of the catalogue's {len(catalogue.groups)} groups",
                hint=nearest(group, catalogue.groups),
            )
    words = (search or "").casefold()
    return [r for _, r in rows if words in f"{r['name']} {r['says']}".casefold()]


def _row(feature: Feature, vocabulary: Vocabulary, lang: str) -> dict[str, str]:
    return {
        "name": feature.name,
        "theme": vocabulary.theme_label(feature.theme, lang),
        "unit": _unit(feature, lang),
        "window": _window(feature, lang),
        "says": _says(feature, lang),
    }


def _says(feature: Feature, lang: str) -> str:
    colon = " : " if lang == "fr" else ": "
    said = f"{feature.label[lang]}{colon}{say(PHRASES[feature.measure], lang)}"
    if MEASURES[feature.measure].windows in ("all", "of"):
        return said
    return f"{said}, {window_text(feature, lang, whole='span.all')}"


def _window(feature: Feature, lang: str) -> str:
    """The window as the file writes it; what compares peers has none of its own."""
    if not feature.among_peers:
        return feature.window
    return say("at that date" if feature.of is None else "that of the compared feature", lang)


def _unit(feature: Feature, lang: str) -> str:
    return say(_UNITS[feature.unit], lang) if feature.unit in _UNITS else feature.unit


def describe(
    feature: Feature,
    vocabulary: Vocabulary,
    settings: FeaturesSettings | None = None,
    lang: str = "fr",
) -> dict[str, Any]:
    """All there is to know of a feature: its rule, its events and where they come from.

    Args:
        feature: Any feature.
        vocabulary: For the labels of codes and themes.
        settings: For the lineage: the tables and columns that each code is read from.
        lang: `fr` or `en`.

    Returns:
        Texts by key; `events` holds, by role, the codes with their labels and their sources.

    Example:
        >>> from features.vocabulary import Vocabulary
        >>> seen = Feature("contact.seen.mean_gap.90d", "contact.seen", "mean_gap", 90, "contact",
        ...                {"fr": "Rendez-vous honorés", "en": "Appointments kept"}, "days",
        ...                ("CONTACT//APPOINTMENT//SEEN",))
        >>> found = describe(seen, Vocabulary.load(), lang="en")
        >>> found["says"], found["missing"]
        ('Appointments kept: usual gap between two days, in 90 days', 'fewer than two days with \
an event')
        >>> found["events"]["events measured"][0]["label"]
        'Appointment: attended'
    """
    measure = MEASURES[feature.measure]
    found: dict[str, Any] = _row(feature, vocabulary, lang) | {
        "group": feature.group,
        "measure": feature.measure,
        "rule": say(measure.rule, lang),
        "missing": _missing(feature, lang),
        "direction": say(_DIRECTIONS[feature.direction], lang),
        "services": list(feature.services or ()) or [say("any service", lang)],
    }
    found |= {say(key, lang): text for key, text in _options(feature, lang).items()}
    named = {code for name in _ROLES for code in getattr(feature, name)}
    feeding = sources_of(named, settings) if settings is not None else {}
    found["events"] = {
        say(words, lang): [
            {
                "code": code,
                "label": vocabulary.label(code, lang) if code in vocabulary else code,
                "sources": [source.as_dict() for source in feeding.get(code, [])],
            }
            for code in getattr(feature, name)
        ]
        for name, words in _ROLES.items()
        if getattr(feature, name)
    }
    return found


def _missing(feature: Feature, lang: str) -> str:
    measure = MEASURES[feature.measure]
    reasons = [] if measure.missing is None else [measure.missing]
    if feature.period == "since":
        reasons.append("the event that the window begins at never happened")
    return (" ; " if lang == "fr" else "; ").join(
        say(reason, lang) for reason in reasons or ["never missing"]
    )


def _options(feature: Feature, lang: str) -> dict[str, str]:
    """What the group adds to the rule of its measure, by its name in English."""
    found = {}
    low, high = feature.value_min, feature.value_max
    if low is not None:
        found["numeric value at least"] = f"{low:g}"
    if high is not None:
        found["numeric value below"] = f"{high:g}"
    if feature.within is not None:
        found["within"] = days_text(feature.within, lang)
    if feature.answered_by or feature.followed_by:
        found["matched by"] = say(feature.match, lang)
    if feature.answered_by:
        found["answered by whom"] = say(_WHO[feature.answered_by_service], lang)
    if feature.peers is not None:
        found["peers have"] = say(_PEERS[feature.peers], lang)
        found["fewest peers"] = str(feature.least)
    if feature.of is not None:
        found["compares"] = feature.of
    return found


_TOLD = ("name", "group", "measure", "events")
_HEADINGS = ("theme", "says", "rule", "window", "unit", "missing", "direction", "services")


def described_lines(found: Mapping[str, Any], lang: str) -> list[str]:
    """What :func:`describe` gave, as lines of text.

    Example:
        >>> described_lines({"name": "a.count.90d", "rule": "how many", "events": {}}, "en")
        ['a.count.90d', '  rule     how many']
    """
    named = {key: say(key, lang) for key in _HEADINGS if key in found}
    others = [key for key in found if key not in (*_HEADINGS, *_TOLD)]
    width = max(len(text) for text in (*named.values(), *others, "services"))
    lines = [str(found["name"])]
    for key in (*named, *others):
        value = found[key]
        text = ", ".join(value) if isinstance(value, list) else str(value)
        lines.append(f"  {named.get(key, key).ljust(width)} {text}")
    for role, codes in found["events"].items():
        lines.append(f"  {role}")
        for code in codes:
            lines.append(f"    {code['code']}  {code['label']}")
            lines += [f"      {_source_text(source, lang)}" for source in code["sources"]]
            if not code["sources"]:
                lines.append(f"      {say('no source of this territory', lang)}")
    return lines


def _source_text(source: Mapping[str, Any], lang: str) -> str:
    """A table that feeds a code: the service, the table, its conditions and its columns."""
    colon = " : " if lang == "fr" else ": "
    where = []
    for condition in source["where"]:
        column, _, state = condition.rpartition(" ")
        stated = state in _STATES and "=" not in condition
        where.append(f"{column} {say(_STATES[state], lang)}" if stated else condition)
    columns = (f"{say(_FIELDS[key], lang)}{colon}{c}" for key, c in source["columns"].items())
    told = f" ({', '.join(where)})" if where else ""
    return f"{source['service']}, {source['table']}{told}; {', '.join(columns)}"


def measures_table() -> str:
    """Every measure as a Markdown table, for `docs/features.md`.

    Example:
        >>> print("\\n".join(measures_table().splitlines()[:3]))
        | measure | what it is | unit | needs | windows | missing when |
        |---|---|---|---|---|---|
        | `count` | number of events in the window | count | codes | any | never |
    """
    windows = {"any": "any", "days": "days", "all": "`all`", "of": "`all`"}
    lines = ["| measure | what it is | unit | needs | windows | missing when |"]
    lines.append("|---|---|---|---|---|---|")
    lines += [
        f"| `{name}` | {one.rule} | {one.unit} | {', '.join(one.needs) or '-'} "
        f"| {windows[one.windows]} | {one.missing or 'never'} |"
        for name, one in MEASURES.items()
    ]
    return "\n".join(lines)
