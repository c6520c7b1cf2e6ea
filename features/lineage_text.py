"""A lineage in words: the fact, then the events behind it with their dates, for a person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from features.catalogue_text import say
from features.facts import sentence
from features.standing_text import standing_dict, standing_lines

if TYPE_CHECKING:
    from features.lineage import Lineage, Trace
    from features.vocabulary import Vocabulary

__all__ = ["as_dict", "lineage_lines"]

_ALONE = "a rank needs the peers of the person: none were given"

_HIDDEN = "not told, see the group of peers"


def as_dict(
    lineage: Lineage, vocabulary: Vocabulary, timezone: str, lang: str = "fr"
) -> dict[str, Any]:
    """A lineage as plain values, dates in local time.

    Args:
        lineage: From :func:`features.lineage.explain`.
        vocabulary: For the labels of codes.
        timezone: Where days are local.
        lang: Language of the fact and the labels.

    Example:
        >>> from features.catalogue import Feature
        >>> from features.lineage import Lineage, Trace
        >>> from features.vocabulary import Vocabulary
        >>> seen = Feature("seen.count.90d", "seen", "count", 90, "contact",
        ...                {"fr": "Rendez-vous", "en": "Appointments"}, "count",
        ...                ("CONTACT//APPOINTMENT//SEEN",))
        >>> day = datetime(2025, 3, 3, 9)
        >>> kept = Trace("measured", True, day, day, seen.codes[0], "social", None, None, None)
        >>> found = as_dict(Lineage(seen, datetime(2025, 4, 1), 1.0, 20_150, (kept,)),
        ...                 Vocabulary.load(), "Europe/Paris", "en")
        >>> found["events"][0]["label"], found["events"][0]["time"]
        ('Appointment: attended', '2025-03-03T10:00:00+01:00')
    """
    found: dict[str, Any] = {
        "feature": lineage.feature.name,
        "at": _local(lineage.at, timezone).isoformat(),
        "value": None if math.isnan(lineage.value) else lineage.value,
        "fact": _fact(lineage, lang),
        "events": [
            {
                "role": trace.role,
                "counts": trace.counts,
                "time": None if trace.time is None else _local(trace.time, timezone).isoformat(),
                "recorded_at": _local(trace.recorded_at, timezone).isoformat(),
                "code": trace.code,
                "label": _label(trace, vocabulary, lang),
                "service": trace.service,
                "value": trace.value,
                "reference": trace.reference,
                "end_time": None
                if trace.end_time is None
                else _local(trace.end_time, timezone).isoformat(),
            }
            for trace in lineage.traces
        ],
    }
    if lineage.compared is not None:
        feature, value = lineage.compared
        found["compared"] = {
            "feature": feature.name,
            "value": None if math.isnan(value) else value,
            "fact": sentence(feature, value, None, lang),
        }
    if lineage.standing is not None:
        found["peers"] = standing_dict(lineage.standing, vocabulary, timezone, lang)
    return found


def lineage_lines(
    lineage: Lineage, vocabulary: Vocabulary, timezone: str, lang: str = "fr"
) -> list[str]:
    """A lineage as lines of text: the fact, then a table of its events.

    Args:
        lineage: From :func:`features.lineage.explain`.
        vocabulary: For the labels of codes.
        timezone: Where days are local.
        lang: `fr` or `en`.

    Example:
        >>> from features.catalogue import Feature
        >>> from features.lineage import Lineage
        >>> from features.vocabulary import Vocabulary
        >>> seen = Feature("seen.count.90d", "seen", "count", 90, "contact",
        ...                {"fr": "Rendez-vous", "en": "Appointments"}, "count",
        ...                ("CONTACT//APPOINTMENT//SEEN",))
        >>> found = Lineage(seen, datetime(2025, 4, 1), 0.0, None, ())
        >>> lineage_lines(found, Vocabulary.load(), "UTC", "en")[1].strip()
        'seen.count.90d = 0'
    """
    value = say("not known", lang) if math.isnan(lineage.value) else f"{lineage.value:g}"
    lines = [_fact(lineage, lang), f"  {lineage.feature.name} = {value}"]
    day = _local(lineage.at, timezone)
    lines.append(f"  {say('at', lang)} {day:%Y-%m-%d %H:%M}")
    colon = " : " if lang == "fr" else ": "
    if lineage.compared is not None:
        feature, other = lineage.compared
        fact = sentence(feature, other, None, lang)
        lines.append(f"  {say('compared value', lang)} ({feature.name}){colon}{fact}")
    if lineage.standing is not None:
        compared = None if lineage.compared is None else lineage.compared[0]
        rank = lineage.value if lineage.feature.measure == "rank" else math.nan
        lines += standing_lines(lineage.standing, rank, compared, vocabulary, timezone, lang)
    if not lineage.traces:
        return [*lines, f"  {say('no event', lang)}"]
    heads = ("role", "counts", "time", "recorded", "event", "service", "value", "file", "end")
    rows = [[say(head, lang) for head in heads]]
    rows += [_row(trace, vocabulary, timezone, lang) for trace in lineage.traces]
    # A column that no event fills says nothing.
    used = [at for at in range(len(heads)) if any(row[at] for row in rows[1:])]
    return [*lines, "", *_aligned([[row[at] for at in used] for row in rows])]


def _fact(lineage: Lineage, lang: str) -> str:
    if lineage.alone or (lineage.standing is not None and lineage.standing.hidden is not None):
        colon = " : " if lang == "fr" else ": "
        said = _ALONE if lineage.alone else _HIDDEN
        return f"{lineage.feature.label[lang]}{colon}{say(said, lang)}"
    return sentence(lineage.feature, lineage.value, lineage.last_day, lang)


def _row(trace: Trace, vocabulary: Vocabulary, timezone: str, lang: str) -> list[str]:
    return [
        say(trace.role, lang),
        say("yes" if trace.counts else "no", lang),
        _day(trace.time, timezone),
        _day(trace.recorded_at, timezone),
        _label(trace, vocabulary, lang),
        trace.service,
        "" if trace.value is None else f"{trace.value:g}",
        trace.reference or "",
        _day(trace.end_time, timezone),
    ]


def _label(trace: Trace, vocabulary: Vocabulary, lang: str) -> str:
    return vocabulary.label(trace.code, lang) if trace.code in vocabulary else trace.code


def _local(instant: datetime, timezone: str) -> datetime:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone))


def _day(instant: datetime | None, timezone: str) -> str:
    return "" if instant is None else f"{_local(instant, timezone):%Y-%m-%d %H:%M}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  " + "  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
