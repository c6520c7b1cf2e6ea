"""The territory file: one YAML of three sections, checked whole, every fault with its line."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, PrivateAttr, ValidationError

from features.errors import ConfigurationError
from features.presets import written
from features.yaml_text import LOADER

__all__ = ["Fault", "Placed", "Territory", "check_sections", "find_territory"]

Section = TypeVar("Section", bound=BaseModel)
Path_ = tuple[str | int, ...]


class Placed(BaseModel):
    """A section that knows on which line of its file each key stands, to name it in a fault."""

    _file: str = PrivateAttr(default="")
    _lines: Mapping[Path_, int] = PrivateAttr(default_factory=dict)

    def place(self, *path: str | int) -> str:
        """Where a key stands, as ``file:line: ``; nothing when the section is from no file.

        Args:
            path: Keys and positions below the section. Of a key that is not written, the nearest
                one above it counts.
        """
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self._file}:{self._lines[path]}: " if path else ""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a territory file, with where it stands and the remedy."""

    line: int
    key: str
    rule: str
    remedy: str

    def text(self, file: str) -> str:
        """The fault as one line: ``file:line: key: rule. Hint: remedy``."""
        return f"{file}:{self.line}: {self.key}: {self.rule}. Hint: {self.remedy}"


@dataclass(frozen=True)
class Territory:
    """A territory: its file, its name, the folder it works in, the folder its exports lie in.

    Attributes:
        file: The territory file.
        name: The folder's name (``territories/demo/territory.yaml`` is ``demo``).
        home: The work folder: timelines, matrices, MLflow's database, state database, reports.
        data: Where the exports lie; paths in ``features.sources`` are relative to it.
        raw: The file's content as plain dicts and lists.
        lines: Line number (from 1) of every key, by its path.
        called: What the caller wrote for it, so that a hint can name the next command.
    """

    file: Path
    name: str
    home: Path
    data: Path
    raw: Mapping[str, Any] = field(repr=False)
    lines: Mapping[Path_, int] = field(repr=False)
    called: str = ""

    @classmethod
    def open(
        cls, where: str | Path, *, home: str | Path | None = None, data: str | Path | None = None
    ) -> Territory:
        """Read a territory by name (``demo``), folder or file; nothing is validated yet.

        Args:
            where: A name under ``territories/``, a folder, or a YAML file.
            home: The work folder; by default ``$JALON_HOME/<name>``, or ``.jalon/<name>``.
            data: The folder of the exports; by default the ``data:`` key of the file (relative to
                the work folder), or ``$JALON_DATA``, or the work folder's ``exports``. A folder
                of the territory's name inside it comes first: one ``JALON_DATA`` serves several.

        Raises:
            ConfigurationError: no such territory, or a file that is not YAML.
        """
        file = find_territory(where)
        raw, lines = _load(file)
        name = file.parent.name if file.stem == "territory" else file.stem
        base = Path(os.environ.get("JALON_HOME", ".jalon"))
        home_path = Path(home) if home is not None else base / name
        given = data if data is not None else os.environ.get("JALON_DATA")
        if given is None or (data is None and raw.get("data") is not None):
            data_path = home_path / str(raw.get("data") or "exports")
        else:
            inside = Path(given) / name
            data_path = inside if inside.is_dir() else Path(given)
        return cls(file, name, home_path, data_path, raw, lines, str(where))

    def section(self, key: str, model: type[Section]) -> Section:
        """The section ``key`` as a validated ``model``.

        Raises:
            ConfigurationError: with every fault of the section, one line each.
        """
        return check_sections(self, {key: model})[key]  # type: ignore[return-value]


def find_territory(where: str | Path) -> Path:
    """The territory file meant by a name, a folder or a file.

    Raises:
        ConfigurationError: nothing of that name, with the names that exist.
    """
    path = Path(where)
    if path.suffix in {".yaml", ".yml"}:
        candidates = [path]
    else:
        candidates = [path / "territory.yaml", Path("territories") / path / "territory.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = sorted(p.parent.name for p in Path("territories").glob("*/territory.yaml"))
    close = difflib.get_close_matches(str(where), known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else "Give a name under territories/ or a file."
    raise ConfigurationError(
        f"opening territory '{where}'",
        expected="a territory file at " + " or ".join(str(c) for c in candidates),
        got="none; known here: " + (", ".join(known) or "none"),
        hint=hint,
    )


def check_sections(
    territory: Territory, sections: Mapping[str, type[BaseModel]]
) -> dict[str, BaseModel]:
    """Validate several sections of one file and report all their faults at once.

    Args:
        territory: The opened file.
        sections: Section name to its pydantic model.

    Returns:
        Section name to its validated model.

    Raises:
        ConfigurationError: every fault found, each with file, line, key, rule and remedy.
    """
    faults: list[Fault] = []
    known = {"features", "training", "serving", "data"}
    faults += [_unknown(territory, (k,), k, known) for k in territory.raw if k not in known]
    checked: dict[str, BaseModel] = {}
    for name, model in sections.items():
        try:
            checked[name] = _placed(territory, name, model.model_validate(_raw(territory, name)))
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False):
                loc, preset = _own(territory, name, item["loc"])
                path = (name, *_written(territory.lines, name, loc))
                fault = _fault(territory, path, item, model)
                faults.append(fault if preset is None else _of_preset(fault, preset, item))
    if faults:
        faults = sorted(dict.fromkeys(faults), key=lambda f: (f.line, f.key))
        lines = "\n  ".join(f.text(str(territory.file)) for f in faults)
        raise ConfigurationError(
            f"territory '{territory.name}': {len(faults)} fault(s) in its file\n  {lines}"
        )
    return checked


def _own(territory: Territory, section: str, loc: Path_) -> tuple[Path_, str | None]:
    """A location as the file has it; of what a preset says, its source and the preset's name."""
    node: Any = territory.raw.get(section)
    for key in loc[:2]:
        node = node.get(key) if isinstance(node, dict) else None
    if section != "features" or not isinstance(node, dict) or loc[:1] != ("sources",):
        return loc, None
    if node.get("preset") is None or len(loc) < 3:
        return loc, None
    own = written(node, loc[2:])
    if own is None:
        return (*loc[:2], "preset"), str(node["preset"])
    return (*loc[:2], *own), None


def _of_preset(fault: Fault, preset: str, item: Any) -> Fault:
    loc: Path_ = item["loc"][2:]
    remedy = fault.remedy
    if item["type"] == "missing":
        remedy = f"Give '{loc[-1]}' in your own file"
        remedy += ", in a table of the same name." if loc[0] == "tables" else "."
    return Fault(fault.line, fault.key, f"preset '{preset}': {_dotted(loc)}: {fault.rule}", remedy)


def _raw(territory: Territory, name: str) -> Any:
    return territory.raw.get(name) or {}


def _placed(territory: Territory, name: str, section: BaseModel) -> BaseModel:
    if isinstance(section, Placed):
        section._file = str(territory.file)
        below = ((path, line) for path, line in territory.lines.items() if path[:1] == (name,))
        section._lines = {path[1:]: line for path, line in below}
    return section


def _written(lines: Mapping[Path_, int], section: str, loc: Path_) -> Path_:
    """A pydantic location without the steps that are not in the file (union tags, list heads)."""
    path: Path_ = ()
    for step in loc:
        if (section, *path, step) in lines:
            path = (*path, step)
    last = loc[-1] if loc else None
    if isinstance(last, str) and (not path or path[-1] != last) and "[" not in last:
        path = (*path, last)
    return path


def _line(territory: Territory, path: Path_) -> int:
    while path and path not in territory.lines:
        path = path[:-1]
    return territory.lines.get(path, 1)


def _dotted(path: Path_) -> str:
    return ".".join(str(step) for step in path)


def _unknown(territory: Territory, path: Path_, key: str, known: set[str]) -> Fault:
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
    remedy = (
        f"Did you mean '{close[0]}'?"
        if close
        else f"Remove it; known here: {', '.join(sorted(known)) or 'none'}."
    )
    return Fault(_line(territory, path), _dotted(path), "unknown key", remedy)


def _fault(territory: Territory, path: Path_, item: Any, model: type[BaseModel]) -> Fault:
    if item["type"] == "extra_forbidden":
        return _unknown(territory, path, str(path[-1]), _fields_at(model, item["loc"][:-1]))
    rule = re.sub(r"^(Value error|Assertion failed), ", "", item["msg"]).rstrip(".")
    if item["type"] == "missing":
        rule, remedy = "required key is missing", f"Add '{path[-1]}:' here."
    elif ". Hint: " in rule:
        rule, remedy = rule.split(". Hint: ", 1)
    else:
        remedy = "Correct the value at this key."
    return Fault(_line(territory, path), _dotted(path), rule, remedy)


def _fields_at(model: type[BaseModel], loc: Path_) -> set[str]:
    """Names a mapping may hold at a pydantic location, unions and containers looked through."""
    models = [model]
    for step in loc:
        found: list[type[BaseModel]] = []
        for current in models:
            info = current.model_fields.get(str(step))
            if info is None:
                info = next((f for f in current.model_fields.values() if f.alias == step), None)
            if info is not None:
                found += _models_in(info.annotation)
        tagged = [m for m in models if m.__name__ == step]
        models = found or tagged or models
    names: set[str] = set()
    for current in models:
        names |= {f.alias or n for n, f in current.model_fields.items()}
    return names


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inside: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        inside += _models_in(argument)
    return inside


def _load(file: Path) -> tuple[dict[str, Any], dict[Path_, int]]:
    """The file's content and the line of every key; a key given twice is refused."""
    lines: dict[Path_, int] = {}
    doubles: list[str] = []

    def walk(node: yaml.Node, path: Path_) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key_node, value in node.value:
                key = key_node.value
                line = key_node.start_mark.line + 1
                if key in seen:
                    doubles.append(f"{file}:{line}: {_dotted((*path, key))}: key given twice")
                seen.add(key)
                lines[(*path, key)] = line
                walk(value, (*path, key))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines[(*path, index)] = value.start_mark.line + 1
                walk(value, (*path, index))

    try:
        text = file.read_text(encoding="utf-8")
        loader = LOADER(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                walk(node, ())
            content = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError(
            f"reading territory file {file}" + (f":{mark.line + 1}" if mark else ""),
            expected="YAML in UTF-8",
            got=getattr(error, "problem", None) or type(error).__name__,
            hint="Check the indentation and the colons near that line.",
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"reading territory file {file}",
            expected="the sections features:, training:, serving:",
            got=type(content).__name__,
            hint="Start from territories/demo/territory.yaml.",
        )
    if doubles:
        raise ConfigurationError("\n  ".join(["territory file:", *doubles]), hint="Keep one.")
    return content, lines
