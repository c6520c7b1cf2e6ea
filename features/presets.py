"""Presets: mappings that come with Jalon, which a territory names and overrides key by key."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, cast

from features.yaml_text import read_yaml

__all__ = ["Located", "expanded", "preset_names", "written"]

Located = tuple[str | int, ...]

OWN = ("preset", "folder", "without")
"""Keys that say how a preset is taken."""


def preset_names() -> tuple[str, ...]:
    """Every preset that a source may name, sorted.

    Example:
        >>> "hmis" in preset_names()
        True
    """
    folder = resources.files("features.sources").joinpath("presets")
    found = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def expanded(source: Mapping[str, Any]) -> dict[str, Any]:
    """A source as the territory means it: its preset, overridden by its own keys.

    `options` are merged key by key. A table of the territory with the name of one of the preset's
    replaces the keys that it has; one of another name is added. `without` names tables that are
    left out, `folder` is put before the paths of the preset's tables. Every other key replaces the
    preset's.

    Args:
        source: A source as it stands in a territory file, with `preset`.

    Returns:
        The mapping, not validated, with the keys of the territory's own beside it.

    Raises:
        ValueError: no such preset, or a name in `without` that none of its tables bears; with
            ``. Hint: `` before the remedy.

    Example:
        >>> own = {"preset": "hmis", "folder": "*.zip/**", "service": "shelter",
        ...        "without": ["health"], "tables": [{"name": "exit", "row_key": "EnrollmentID"}]}
        >>> source = expanded(own)
        >>> source["service"], source["person"]
        ('shelter', {'system': 'hmis', 'columns': 'PersonalID'})
        >>> exits = next(table for table in source["tables"] if table["name"] == "exit")
        >>> exits["path"], exits["row_key"], len(exits["events"])
        ('*.zip/**/Exit.csv', 'EnrollmentID', 3)
        >>> expanded({"preset": "hmsi"})
        Traceback (most recent call last):
        ValueError: there is no preset 'hmsi'. Hint: Did you mean 'hmis'?
    """
    made = _taken(source)
    for key, value in source.items():
        if key == "options" and isinstance(value, Mapping):
            made["options"] = {**made.get("options", {}), **value}
        elif key != "tables" or not isinstance(value, list):
            made[key] = value
    if isinstance(source.get("tables"), list):
        made["tables"] = _merged(made["tables"], source["tables"])
    return made


def written(source: Mapping[str, Any], place: Located) -> Located | None:
    """Where in a source of a territory file something of the expanded source stands.

    Args:
        source: As for :func:`expanded`.
        place: Keys and positions within the expanded source.

    Returns:
        Keys and positions within ``source``, or None where the preset says it.

    Example:
        >>> own = {"preset": "hmis", "tables": [{"name": "exit", "row_key": 3}]}
        >>> written(own, ("tables", 2, "row_key")), written(own, ("tables", 2, "events", 0, "code"))
        (('tables', 0, 'row_key'), None)
    """
    if not place or place[0] not in source:
        return None
    if place[0] == "options":
        return place if len(place) < 2 or place[1] in source["options"] else None
    if place[0] != "tables" or len(place) < 2 or not isinstance(place[1], int):
        return place
    try:
        tables = expanded(source)["tables"]
    except ValueError:
        return place
    if not isinstance(tables, list) or place[1] >= len(tables):
        return place
    name = _name(tables[place[1]])
    for own, table in enumerate(source["tables"]):
        same = table is tables[place[1]] or (name is not None and _name(table) == name)
        if same and (len(place) == 2 or place[2] in table or table is tables[place[1]]):
            return ("tables", own, *place[2:])
    return None


@lru_cache(maxsize=8)
def _read(name: str) -> dict[str, Any]:
    file = resources.files("features.sources").joinpath("presets", f"{name}.yaml")
    return cast("dict[str, Any]", read_yaml(file.read_text(encoding="utf-8")))


def _taken(source: Mapping[str, Any]) -> dict[str, Any]:
    """The preset as the territory takes it: some tables left out, in its folder."""
    name, known = source["preset"], preset_names()
    if name not in known:
        raise ValueError(f"there is no preset '{name}'. Hint: {_nearest(str(name), known)}")
    made = copy.deepcopy(_read(name))
    tables = {table["name"]: table for table in made["tables"]}
    for left in source.get("without") or ():
        if tables.pop(left, None) is None:
            hint = _nearest(str(left), tuple(tables))
            raise ValueError(f"without: preset '{name}' has no table '{left}'. Hint: {hint}")
    folder = str(source.get("folder") or "").strip("/")
    for table in (*tables.values(), *made.get("persons", ())):
        table["path"] = f"{folder}/{table['path']}" if folder else table["path"]
    return {**made, "tables": list(tables.values())}


def _merged(tables: list[Any], own: list[Any]) -> list[Any]:
    places = {_name(table): place for place, table in enumerate(tables)}
    made = list(tables)
    for table in own:
        name = _name(table)
        if name is not None and name in places:
            made[places[name]] = {**made[places[name]], **table}
        else:
            made.append(table)
    return made


def _name(table: Any) -> Any:
    return table.get("name") if isinstance(table, Mapping) else None


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"Known here: {', '.join(known) or 'none'}"
