"""Where the codes of a territory come from: the tables and columns that its mapping reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from features.mapping import table_name
from features.settings import EventRule, FeaturesSettings

__all__ = ["CodeSource", "sources_of"]


@dataclass(frozen=True)
class CodeSource:
    """One rule of a mapping that gives a code.

    Attributes:
        source: Name of the source in the territory file.
        service: The service it belongs to.
        table: Its table, as reports name it.
        where: What the columns of a row hold when it is this code.
        columns: Which column gives which field of the event.
    """

    source: str
    service: str
    table: str
    where: tuple[str, ...]
    columns: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "source": self.source,
            "service": self.service,
            "table": self.table,
            "where": list(self.where),
            "columns": dict(self.columns),
        }


def sources_of(codes: Collection[str], settings: FeaturesSettings) -> dict[str, list[CodeSource]]:
    """The rules of a territory's mapping that give some codes: which table, which columns.

    Args:
        codes: Full codes.
        settings: The `features:` section.

    Returns:
        For each code that the territory can give, its rules in the order of the file.

    Example:
        >>> source = {"service": "social", "reader": "csv", "tables": [{"path": "rdv.csv",
        ...           "row_key": "id", "events": [{"code": "CONTACT//APPOINTMENT//{issue}",
        ...           "values": {"issue": {"H": "SEEN", "A": "NOSHOW"}}, "time": "day",
        ...           "recorded_at": "entered"}]}], "person": {"system": "s", "columns": "id"}}
        >>> settings = FeaturesSettings.model_validate({"sources": {"social": source},
        ...     "observation": {"since": "2024-01-01", "until": "2026-01-01"}})
        >>> found = sources_of({"CONTACT//APPOINTMENT//NOSHOW"}, settings)
        >>> found["CONTACT//APPOINTMENT//NOSHOW"][0].where
        ('issue = A',)
    """
    found: dict[str, list[CodeSource]] = {}
    for name, source in settings.sources.items():
        for table in source.tables:
            for rule in table.events:
                for code, conditions in _given(rule):
                    if code in codes:
                        columns = _columns(rule)
                        one = CodeSource(
                            name, source.service, table_name(table), conditions, columns
                        )
                        found.setdefault(code, []).append(one)
    return found


def _given(rule: EventRule) -> list[tuple[str, tuple[str, ...]]]:
    """Every code that a rule may give, with what its columns then hold."""
    fixed = [f"{c} {said}" for c, said in rule.where.items() if isinstance(said, str)]
    listed = {c: said for c, said in rule.where.items() if isinstance(said, list)}
    fixed += [f"{c} = {' | '.join(v)}" for c, v in listed.items() if c not in rule.code_columns]
    choices: list[Sequence[tuple[str, str, str]]] = [
        [
            (column, value, part)
            for value, part in rule.values[column].items()
            if column not in listed or value in listed[column]
        ]
        for column in rule.code_columns
    ]
    found: dict[str, list[str]] = {}
    for parts in product(*choices):
        code = rule.code
        for column, _, part in parts:
            code = code.replace("{" + column + "}", part)
        told = ", ".join(f"{column} = {value}" for column, value, _ in parts)
        found.setdefault(code, []).append(told)
    return [
        (code, (*fixed, *([" | ".join(told)] if told != [""] else [])))
        for code, told in found.items()
    ]


def _columns(rule: EventRule) -> dict[str, str]:
    """Which column gives which field of the event."""
    found = {}
    for name in ("time", "recorded_at", "end_time"):
        instant = getattr(rule, name)
        if instant is not None:
            found[name] = instant.column or f"{instant.assumed}"
    if rule.numeric_value is not None:
        found["numeric_value"] = rule.numeric_value
    if rule.text_value is not None:
        found["text_value"] = rule.text_value.column
    if rule.reference is not None:
        found["reference"] = " + ".join(rule.reference)
    return found
