"""A mapping to complete, as YAML with a TODO wherever a person must choose."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import yaml

from features.connect.codes import propose
from features.connect.columns import ColumnLook
from features.connect.names import slug
from features.connect.opening import Found, Place
from features.connect.roles import Roles
from features.connect.wording import Texts
from features.settings import SQL, FeaturesSettings
from features.vocabulary import Vocabulary

__all__ = ["TableLook", "draft", "whole_file"]

PLAIN = re.compile(r"[A-Za-zÀ-ÿ][\wÀ-ÿ./*-]*")
LATE = 0.5
"""Share of rows entered before the event from which the date of entry is doubted."""

NUMBERED = 0.9
"""Share of different values from which a column of persons may be another system's identifier."""

CHOOSE = "TODO_CHOOSE"
"""Stands for a status that no one has chosen; the vocabulary has none of that name."""


@dataclass(frozen=True)
class TableLook:
    """One table: where it lies, what its columns hold, what they seem to be."""

    found: Found
    sample: pa.Table
    columns: tuple[ColumnLook, ...]
    nulls: tuple[str, ...]
    roles: Roles
    aside: int = 0

    @property
    def rows(self) -> int:
        """Rows of the sample."""
        return self.sample.num_rows

    def column(self, name: str) -> ColumnLook:
        """What one column holds."""
        return next(one for one in self.columns if one.name == name)


def draft(place: Place, looks: Sequence[TableLook], name: str, texts: Texts) -> str:
    """The `sources:` of a territory, to complete.

    It is valid as settings as it stands; codes that no one has chosen are written `TODO`, which
    the vocabulary does not have, so that an ingest refuses them.

    Args:
        place: What was looked at.
        looks: Its tables.
        name: Of the source, in lower case.
        texts: The language of the comments.
    """
    lines = ["sources:", f"  {name}:"]
    if place.preset is not None:
        lines += [f"    preset: {place.preset}", f"    service: {name}  # {texts('todo.service')}"]
        if place.folder:
            lines.append(f"    folder: {scalar(place.folder)}")
        lines.append(f"    # {texts('draft.preset')}")
    else:
        lines += [f"    {line}".rstrip() for line in _source(looks, name, texts, place.url)]
    text = "\n".join(lines) + "\n"
    _valid(text)
    return text


def whole_file(sources: str, years: tuple[int, int] | None, texts: Texts) -> str:
    """A territory file around the sources.

    Args:
        sources: From :func:`draft`.
        years: The first and the last year that its dates are in, if any.
        texts: The language of the comments.
    """
    first, last = years or (2020, 2025)
    lines = [
        f"# {texts('draft.head')}",
        "features:",
        "  timezone: Europe/Paris",
        f"  # {texts('todo.observation')}",
        f"  observation: {{since: {first}-01-01, until: {last + 1}-01-01}}",
        *(f"  {line}".rstrip() for line in sources.splitlines()),
    ]
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """A text as YAML has it, quoted where it must be.

    Example:
        >>> scalar("date_rdv"), scalar("N° client"), scalar("on"), scalar("1")
        ('date_rdv', '"N° client"', '"on"', '"1"')
    """
    plain = PLAIN.fullmatch(text) and yaml.safe_load(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)


def _flow(names: Sequence[str]) -> str:
    quoted = [scalar(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def _valid(sources: str) -> None:
    content = yaml.safe_load(sources)
    observation = {"since": "2020-01-01", "until": "2021-01-01"}
    FeaturesSettings.model_validate({**content, "observation": observation})


def _source(looks: Sequence[TableLook], name: str, texts: Texts, url: str | None) -> Iterator[str]:
    kinds = Counter(one.found.kind for one in looks)
    kind = kinds.most_common(1)[0][0]
    yield f"service: {name}  # {texts('todo.service')}"
    yield f"reader: {kind}"
    if url is not None:
        yield f"url: {json.dumps(url)}"
    yield from _options(looks, texts)
    yield from _formats(looks, texts)
    events = [one for one in looks if not one.roles.persons]
    persons = [one for one in looks if one.roles.persons]
    owners = Counter(one.roles.person for one in [*events, *persons] if one.roles.person)
    owner = owners.most_common(1)[0][0] if owners else None
    said = f"{{system: {_system(looks, owner, name)}, columns: {scalar(owner or 'TODO')}}}"
    yield f"person: {said}  # {texts('todo.person' if owner else 'todo.no_person')}"
    if persons:
        yield "persons:"
        for one in persons:
            yield from _persons(one, kind, name, texts)
    yield "tables:"
    for one in events:
        yield from _table(one, kind, name, owner, texts)
    if not events:
        yield f"  # {texts('todo.no_events')}"
        yield "  - path: TODO.csv"
        yield "    row_key: TODO"
        yield "    events:"
        yield "      - {code: TODO//TODO//TODO_CHOOSE, time: TODO, recorded_at: TODO}"


def _system(looks: Sequence[TableLook], owner: str | None, name: str) -> str:
    return "nir" if any(owner is not None and one.roles.nir == owner for one in looks) else name


def _options(looks: Sequence[TableLook], texts: Texts) -> Iterator[str]:
    written = [one for one in looks if one.found.kind == "csv"]
    options: dict[str, str] = {}
    for key in ("encoding", "delimiter", "quote", "decimal"):
        met = {one.found.options.get(key) for one in written}
        values = sorted(value for value in met if value is not None)
        # An ASCII file is UTF-8 as well as anything: the accents of the others decide.
        if len(values) == 1 and (len(met) == 1 or key in ("encoding", "decimal")):
            options[key] = values[0]
        elif len(met) > 1 and key != "decimal":
            options[key] = "auto"
    for one in looks:
        marks = {column.decimal for column in one.columns if column.decimal}
        if marks == {","}:
            options["decimal"] = ","
    nulls = list(dict.fromkeys(word for one in looks for word in one.nulls))
    told = [f"{key}: {scalar(value)}" for key, value in options.items()]
    if nulls:
        told.append("nulls: [" + ", ".join(json.dumps(word) for word in ["", *nulls]) + "]")
    if told:
        yield f"options: {{{', '.join(told)}}}"
    if any({c.decimal for c in one.columns} >= {",", "."} for one in looks):
        yield f"# {texts('todo.decimal')}"


def _formats(looks: Sequence[TableLook], texts: Texts) -> Iterator[str]:
    columns = [column for one in looks for column in one.columns if column.dates is not None]
    formats: Counter[str] = Counter()
    for column in columns:
        assert column.dates is not None
        for place, form in enumerate(column.dates.formats):
            formats[form] += max(1, column.filled // (place + 1))
    unsure = [c.name for c in columns if c.dates and c.dates.ambiguous]
    mixed = [c.name for c in columns if c.dates and c.dates.mixed]
    if unsure:
        yield f"# {texts('todo.ambiguous', columns=', '.join(sorted(set(unsure))))}"
    if mixed:
        yield f"# {texts('todo.mixed', columns=', '.join(sorted(set(mixed))))}"
    chosen = [form for form, _ in formats.most_common()]
    if any("%d" in form for form in chosen) and any(re.match(r"%m.%d", form) for form in chosen):
        yield f"# {texts('todo.both_orders')}"
    if chosen and chosen != ["iso"]:
        yield "formats: [" + ", ".join(scalar(form) for form in chosen) + "]"


def _place(one: TableLook, kind: str) -> Iterator[str]:
    if one.found.kind == SQL:
        yield f"  - table: {scalar(one.found.path)}"
        return
    yield f"  - path: {scalar(one.found.path)}"
    if one.found.kind != kind:
        yield f"    reader: {one.found.kind}"
    if one.found.part is not None:
        key = "sheet" if one.found.kind == "excel" else "table"
        yield f"    {key}: {scalar(one.found.part)}"


def _persons(one: TableLook, kind: str, name: str, texts: Texts) -> Iterator[str]:
    roles = one.roles
    yield from _place(one, kind)
    keys = {"nir": roles.nir, name: roles.person if roles.person != roles.nir else None}
    said = ", ".join(f"{key}: {scalar(c)}" for key, c in reversed(keys.items()) if c is not None)
    yield f"    keys: {{{said}}}  # {texts('todo.keys')}"
    if roles.attributes:
        said = ", ".join(f"{key}: {scalar(column)}" for key, column in roles.attributes)
        yield f"    attributes: {{{said}}}  # {texts('todo.attributes')}"
    others = [
        look.name
        for look in one.columns
        if look.shape is not None
        and look.distinct > NUMBERED * look.filled
        and look.name not in (roles.person, roles.nir)
    ]
    if others:
        yield f"    # {texts('todo.other_keys', columns=', '.join(others))}"


def _table(one: TableLook, kind: str, name: str, owner: str | None, texts: Texts) -> Iterator[str]:
    roles = one.roles
    yield from _place(one, kind)
    if roles.person != owner:
        column = roles.person or "TODO"
        system = "nir" if roles.nir == roles.person and roles.nir else name
        note = texts("todo.person" if roles.person else "todo.no_person")
        yield f"    person: {{system: {system}, columns: {scalar(column)}}}  # {note}"
    if roles.row_key:
        look = one.column(roles.row_key[0])
        kept = "todo.row_key" if look.unique else "todo.row_key_twice"
        note = texts(kept if len(roles.row_key) == 1 else "todo.row_keys")
        yield f"    row_key: {_flow(roles.row_key)}  # {note}"
    else:
        yield f"    row_key: TODO  # {texts('todo.no_row_key')}"
    if one.found.kind == SQL and roles.recorded is not None:
        yield f"    # watermark: {scalar(roles.recorded)}  # {texts('todo.watermark')}"
    yield "    events:"
    yield from _event(one, texts)
    for look in one.columns:
        if look.personal:
            why = f"{look.name}: {texts('draft.left_out')}"
            yield f"    # {why}"


def _event(one: TableLook, texts: Texts) -> Iterator[str]:
    roles = one.roles
    at = "      "
    code = roles.codes[0] if roles.codes else None
    look = one.column(code) if code is not None else None
    values = [value for value, _ in look.codes] if look is not None else []
    context = [one.found.path.rpartition(".")[0], one.found.part or "", code or ""]
    found = propose(values, context)
    group = found.group or "TODO//TODO"
    others = ", ".join(found.others)
    note = texts("todo.group" if found.group else "todo.no_group", others=others or "-")
    yield f"{at}# {note}"
    planned = next((p for p in _planned(found.group) if look is not None), None)
    if planned is not None and roles.early is not None and roles.early >= LATE:
        yield f"{at}- code: {planned}  # {texts('todo.planned')}"
        yield f"{at}  time: {scalar(roles.times[0])}"
        yield f"{at}  recorded_at: {_known(one, roles.recorded or 'TODO')}"
        yield from _reference(roles, at, texts)
    if look is None:
        if found.known:
            yield f"{at}# {texts('todo.statuses', statuses=', '.join(found.known))}"
        yield f"{at}- code: {group}//{CHOOSE}"
    else:
        yield f"{at}- code: {json.dumps(f'{group}//{{{look.name}}}', ensure_ascii=False)}"
        yield from (f"{at}  {line}" for line in _values(look, found.statuses, found.known, texts))
    yield from (f"{at}  {line}" for line in _instants(one, texts))
    if roles.amount is not None:
        yield f"{at}  # numeric_value: {scalar(roles.amount)}  # {texts('todo.amount')}"
    yield from _reference(roles, at, texts)
    if len(roles.codes) > 1:
        yield f"{at}# {texts('todo.more_codes', columns=', '.join(roles.codes[1:]))}"


def _planned(group: str | None) -> list[str]:
    """Codes of a group that are known before they happen."""
    planned = Vocabulary.load().planned
    return sorted(code for code in planned if group and code.startswith(f"{group}//"))


def _reference(roles: Roles, at: str, texts: Texts) -> Iterator[str]:
    if len(roles.row_key) == 1 and roles.row_key[0] != roles.person:
        yield f"{at}  reference: {scalar(roles.row_key[0])}  # {texts('todo.reference')}"


def _values(
    look: ColumnLook, chosen: Mapping[str, str], known: Sequence[str], texts: Texts
) -> Iterator[str]:
    if known:
        yield f"# {texts('todo.statuses', statuses=', '.join(known))}"
    yield "values:"
    yield f"  {scalar(look.name)}:"
    for value, rows in look.codes:
        note = texts("draft.rows", rows=rows)
        if value in chosen:
            yield f"    {scalar(value)}: {chosen[value]}  # {texts('todo.check')} ({note})"
        elif chosen:
            yield f"    # {scalar(value)}: {CHOOSE}  ({note})"
        else:
            yield f"    {scalar(value)}: {CHOOSE}  # {note}"
    if not look.codes:
        yield f"    TODO: {CHOOSE}"
    if look.hidden:
        yield f"    # {texts('todo.hidden', count=look.hidden)}"
    if look.missing > 0:
        share = f"{100 * look.missing:.0f}"
        yield f"# {texts('todo.where', share=share)}"
        yield f"where: {{{scalar(look.name)}: present}}"


def _instants(one: TableLook, texts: Texts) -> Iterator[str]:
    roles = one.roles
    if not roles.times and roles.recorded is None:
        yield f"time: TODO  # {texts('todo.no_time')}"
        yield f"recorded_at: TODO  # {texts('todo.no_recorded')}"
        return
    if not roles.times:
        assert roles.recorded is not None
        yield f"time: {scalar(roles.recorded)}  # {texts('todo.only_recorded')}"
    else:
        rest = ", ".join([*roles.times[1:], *([roles.end] if roles.end else [])])
        note = texts("todo.times", others=rest) if rest else texts("todo.time")
        yield f"time: {scalar(roles.times[0])}  # {note}"
    if roles.decided is not None and (roles.recorded is None or (roles.early or 0) >= LATE):
        yield f"recorded_at: {_known(one, roles.decided)}  # {texts('todo.decided')}"
        return
    if roles.recorded is None:
        yield f"recorded_at: {_known(one, roles.times[0], day=True)}  # {texts('todo.no_recorded')}"
        return
    yield f"recorded_at: {_known(one, roles.recorded)}  # {texts('todo.recorded')}"
    if roles.early is not None and roles.early >= LATE:
        yield f"# {texts('todo.early', share=f'{100 * roles.early:.0f}')}"


def _known(one: TableLook, name: str, *, day: bool = False) -> str:
    """A date of entry; of a day without an hour, its end: nothing is known before."""
    dates = next((look.dates for look in one.columns if look.name == name), None)
    whole = day or (dates is not None and not dates.hours)
    return f"{{column: {scalar(name)}, at: end_of_day}}" if whole else scalar(name)


def source_name(place: Place) -> str:
    """What the source is called, as long as no one says otherwise."""
    return slug(place.name)
