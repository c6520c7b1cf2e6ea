"""Codes that stand for themselves: `values: {column: {"*": "*"}}` of a mapping, spelled out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.settings import EventRule, Source

__all__ = ["ITSELF", "spelled_out"]

ITSELF = "*"
"""As a value and its translation: every code of the vocabulary, read as itself."""


def spelled_out(sources: Mapping[str, Source], own: Iterable[str]) -> dict[str, Source]:
    """The sources, with the vocabulary's codes in place of `*`, for whoever maps rows.

    A code that is listed beside `*` is translated as listed.

    Args:
        sources: By name.
        own: Codes that the territory adds to the vocabulary.

    Returns:
        The same sources where none has `*`.

    Example:
        >>> from features.settings import Source
        >>> values = {"*": "*", "SEEN": "HEALTH//CARE//STARTED"}
        >>> event = {"code": "{code}", "values": {"code": values}, "recorded_at": "day"}
        >>> source = Source.model_validate({
        ...     "service": "health", "reader": "csv", "person": {"system": "s", "columns": "p"},
        ...     "tables": [{"path": "a.csv", "row_key": "id", "events": [event]}]})
        >>> made = spelled_out({"health": source}, ["SPORT//CLUB//JOINED"])
        >>> values = made["health"].tables[0].events[0].values["code"]
        >>> values["SPORT//CLUB//JOINED"], values["EXIT//PATHWAY//JOB"], values["SEEN"]
        ('SPORT//CLUB//JOINED', 'EXIT//PATHWAY//JOB', 'HEALTH//CARE//STARTED')
        >>> "*" in values
        False
    """
    rules = [rule for one in sources.values() for table in one.tables for rule in table.events]
    if not any(_open(rule) for rule in rules):
        return dict(sources)
    # The vocabulary is made of settings.
    from features.vocabulary import Vocabulary

    codes = {code: code for code in (*Vocabulary.load().codes, *own)}
    return {name: _source(source, codes) for name, source in sources.items()}


def _open(rule: EventRule) -> bool:
    return any(listed.get(ITSELF) == ITSELF for listed in rule.values.values())


def _source(source: Source, codes: dict[str, str]) -> Source:
    tables = [
        table.model_copy(update={"events": [_rule(rule, codes) for rule in table.events]})
        for table in source.tables
    ]
    return source.model_copy(update={"tables": tables})


def _rule(rule: EventRule, codes: dict[str, str]) -> EventRule:
    if not _open(rule):
        return rule
    values = {
        column: {**codes, **{k: v for k, v in listed.items() if k != ITSELF}}
        if listed.get(ITSELF) == ITSELF
        else listed
        for column, listed in rule.values.items()
    }
    return rule.model_copy(update={"values": values})
