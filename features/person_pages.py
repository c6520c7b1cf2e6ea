"""Everything held of a person as files that the person can read: pages, tables, JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from features.errors import DataError
from features.facts import LANGUAGES, day_text
from features.report_pages import Words
from features.rights import Held
from features.texts import read_texts

__all__ = ["files_of", "lines_of_person", "person_words", "write_held"]

_EVENTS = (
    "time", "end_time", "label_fr", "label_en", "code", "value", "unit", "text", "reference",
    "service", "source", "source_code", "recorded_at", "replaced_at", "withdrawn", "event_id",
)  # fmt: skip


@cache
def person_words(lang: str) -> Words:
    """The texts of these pages, with the numbers and dates of the language.

    Args:
        lang: `fr` or `en`.

    Raises:
        ConfigurationError: another language.

    Example:
        >>> person_words("fr")["events"], person_words("en")["events"]
        ('Événements', 'Events')
    """
    shared = Words.of(lang)
    return Words(lang, {**shared.texts, **read_texts("features", lang, "person")})


def files_of(held: Held) -> dict[str, bytes]:
    """The files of an export by name.

    `index.html` (French), `index.en.html`, `events.csv`, `features.csv`, `data.json`; the JSON has
    all of it, the others what a person reads.

    Args:
        held: What is held.
    """
    made = {
        ("index.html" if lang == "fr" else f"index.{lang}.html"): _page(held, lang).encode()
        for lang in LANGUAGES
    }
    said = json.dumps(held.as_dict(), ensure_ascii=False, indent=2, default=str)
    made["data.json"] = said.encode()
    made["events.csv"] = _csv([_flat(event) for event in held.events], _EVENTS)
    names = ("feature", "value", "theme_fr", "theme_en", "sentence_fr", "sentence_en")
    made["features.csv"] = _csv([_flat(one) for one in held.features], names)
    return made


def write_held(held: Held, to: Path, home: Path) -> list[Path]:
    """Write an export into a new folder, or a zip where the name ends so; read by its owner alone.

    Args:
        held: What is held.
        to: The folder or the archive.
        home: The work folder, which an export must not lie in: it holds an identity.

    Returns:
        The files written.

    Raises:
        DataError: a place within the work folder, or that is taken.
    """
    if to.resolve().is_relative_to(home.resolve()):
        raise DataError(
            f"exporting a person to '{to}'",
            expected="a place outside the work folder",
            got="one inside",
            hint="Give another place with --to.",
        )
    if to.exists():
        raise DataError(
            f"exporting a person to '{to}'",
            expected="a place that is free",
            got="a file or folder",
            hint="Remove it, or give another place with --to.",
        )
    made = files_of(held)
    if to.suffix == ".zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in made.items():
                archive.writestr(name, content)
        _write(to, packed.getvalue())
        return [to]
    to.mkdir(parents=True, mode=0o700)
    for name, content in made.items():
        _write(to / name, content)
    return [to / name for name in made]


def lines_of_person(held: Held, lang: str) -> list[str]:
    """What is held, in lines for a terminal: nothing that names the person.

    Args:
        held: What is held.
        lang: `fr` or `en`.
    """
    words = person_words(lang)
    lines = [words.say("title", person=str(held.person)), ""]
    systems = ", ".join(sorted({one["system"] for one in held.identifiers}))
    lines.append(words.say("known.by", systems=systems))
    lines.append(words.say("records", count=len(held.identity)))
    lines.append(words["objects.yes"] if held.objects_since else words["objects.no"])
    lines.append(words.say("aside.count", count=len(held.set_aside)))
    lines += [
        words.say("table.count", table=words.texts.get(f"table.{name}", name), count=len(rows))
        for name, rows in held.others.items()
    ]
    lines += ["", words["events"]]
    for event in held.events:
        when = (event["time"] or "")[:10] or words["static"]
        said = words["withdrawn"] if event["withdrawn"] else event["label"][lang]
        value = _value(event, words)
        said += f" ({value})" if value else ""
        old = f", {words['replaced']}" if event["replaced_at"] else ""
        lines.append(f"  {when:<10}  {said}, {event['service']}{old}")
    return lines


def _value(event: Mapping[str, Any], words: Words) -> str:
    parts = [words.number(event["value"])] if event["value"] is not None else []
    parts += [str(event["unit"])] if parts and event["unit"] else []
    parts += [str(event["text"])] if event["text"] else []
    return " ".join(parts)


def _page(held: Held, lang: str) -> str:
    from features.report_pages import environment

    words = person_words(lang)
    themes: dict[str, list[str]] = {}
    for one in held.features:
        if one["value"] is not None:
            themes.setdefault(one["theme"][lang], []).append(one["sentence"][lang])
    return environment().get_template("person.html").render(
        w=words, held=held, lang=lang, themes=themes,
        on=lambda said: day_text(date.fromisoformat(said[:10]), lang),
        value=lambda event: _value(event, words),
        tables={name: (words.texts.get(f"table.{name}", name), [_told(row, lang) for row in rows])
                for name, rows in held.others.items()},
        other="index.en.html" if lang == "fr" else "index.html",
    )  # fmt: skip


def _told(row: Mapping[str, Any], lang: str) -> dict[str, str]:
    """A row of another part in plain text; of a text in both languages only one."""
    return {name: _text(value, lang) for name, value in row.items() if value is not None}


def _text(value: Any, lang: str) -> str:
    if isinstance(value, Mapping):
        if set(LANGUAGES) <= value.keys():
            return _text(value[lang], lang)
        return "; ".join(f"{name}: {_text(one, lang)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(one, lang) for one in value)
    return str(value)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}_{lang}": said for lang, said in value.items()}
        else:
            flat[name] = value
    return flat


def _csv(rows: list[dict[str, Any]], names: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    # A spreadsheet takes it for UTF-8 by its first bytes.
    return text.getvalue().encode("utf-8-sig")


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
