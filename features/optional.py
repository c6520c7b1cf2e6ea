"""What a mapping calls optional: tables without a file, rules whose columns a file lacks."""

from __future__ import annotations

from collections.abc import Collection

from features.settings import EventRule, FeaturesSettings, Table

__all__ = ["absent_tables", "fitting", "rule_columns"]


def rule_columns(rule: EventRule) -> tuple[str, ...]:
    """Every column that a rule reads, each once."""
    instants = (rule.time, rule.recorded_at, rule.end_time)
    wanted = [*rule.code_columns, *rule.where, *(rule.reference or [])]
    wanted += [one.column for one in instants if one is not None and one.column is not None]
    wanted += [rule.numeric_value] if rule.numeric_value else []
    wanted += [rule.text_value.column] if rule.text_value else []
    return tuple(dict.fromkeys(wanted))


def fitting(table: Table, names: Collection[str]) -> tuple[Table, list[str]]:
    """A table without the optional rules that a file cannot give, and what to say of them.

    Where no rule would be left the table stays whole, so that the lack of columns is an error.

    Args:
        table: The mapping.
        names: The columns of the file.

    Returns:
        The same table where nothing is lacking; one sentence for each rule left out.

    Example:
        >>> table = Table.model_validate({"path": "exit.csv", "row_key": "id", "events": [
        ...     {"code": "EXIT//PATHWAY//JOB", "recorded_at": "day"},
        ...     {"code": "SOCIAL//ACTION//DONE", "recorded_at": "day", "optional": True,
        ...      "where": {"completed": ["1"]}}]})
        >>> kept, said = fitting(table, ["id", "day"])
        >>> [rule.code for rule in kept.events], said
        (['EXIT//PATHWAY//JOB'], ["no column 'completed': no SOCIAL//ACTION//DONE (optional)"])
        >>> fitting(table, ["id", "day", "completed"])[0] is table
        True
    """
    kept: list[EventRule] = []
    said: list[str] = []
    for rule in table.events:
        missing = [column for column in rule_columns(rule) if column not in names]
        if rule.optional and missing:
            lacking = ", ".join(f"'{column}'" for column in missing)
            said.append(f"no column {lacking}: no {rule.code} (optional)")
        else:
            kept.append(rule)
    if not said or not kept:
        return table, []
    return table.model_copy(update={"events": kept}), said


def absent_tables(settings: FeaturesSettings, present: Collection[tuple[str, str]]) -> list[str]:
    """One sentence for each optional table of which there is no file.

    Args:
        settings: The territory's.
        present: Source and table path of all that has a file.

    Example:
        >>> event = {"code": "EXIT//PATHWAY//JOB", "recorded_at": "day"}
        >>> source = {"service": "social", "reader": "csv",
        ...           "person": {"system": "s", "columns": "p"},
        ...           "tables": [{"path": "a.csv", "row_key": "id", "events": [event]},
        ...                      {"path": "b.csv", "row_key": "id", "events": [event],
        ...                       "optional": True}]}
        >>> settings = FeaturesSettings.model_validate({
        ...     "observation": {"since": "2020-01-01", "until": "2026-01-01"},
        ...     "sources": {"social": source}})
        >>> absent_tables(settings, {("social", "a.csv")})
        ["social: no file 'b.csv' (optional)"]
    """
    return [
        f"{name}: no file '{table.path}' (optional)"
        for name, source in settings.sources.items()
        for table in source.tables
        if table.optional and (name, table.path) not in present
    ]
