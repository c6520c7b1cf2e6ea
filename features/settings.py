"""The `features:` section of the territory file."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from features.code_values import spelled_out
from features.territory import Placed

__all__ = [
    "Attribute",
    "CatalogueSettings",
    "CodeEntry",
    "ColumnContract",
    "EventRule",
    "FeatureGroup",
    "FeaturesSettings",
    "IdentitySettings",
    "Instant",
    "Label",
    "LinkageSettings",
    "Observation",
    "PersonKey",
    "PersonsTable",
    "ReaderOptions",
    "RetentionSettings",
    "Source",
    "Table",
    "Value",
    "ValueRange",
]

NAME = re.compile(r"^[a-z][a-z0-9_]*$")
WINDOW = re.compile(r"^(?:[1-9][0-9]{0,4}d|all|since|(?:last_)?(?:week|month|quarter|year))$")


class Section(BaseModel):
    """Settings that refuse unknown keys and never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _inside(value: str) -> str:
    if value.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", value):
        raise ValueError(
            "path leads out of the folder of the exports. "
            "Hint: Write it relative to that folder, and give the folder with --data"
        )
    return value


Inside = Annotated[str, Field(min_length=1), AfterValidator(_inside)]
Columns = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class Label(Section):
    """A short noun phrase in both languages."""

    fr: str
    en: str


class Observation(Section):
    """The period in which an event's time and entry date are believed; `until` is exclusive.

    `until` is also the end of observation: a horizon that runs past it is censored.
    """

    since: date
    until: date

    @model_validator(mode="after")
    def _ordered(self) -> Observation:
        if self.since >= self.until:
            raise ValueError("since must be earlier than until. Hint: Exchange the two dates")
        return self


AUTO = "auto"
"""Of encoding, delimiter and quote: told from the beginning of each file, said in the report."""


class ReaderOptions(Section):
    """How a source is written: encoding, separator, missing values, sheet or table.

    `encoding`, `delimiter` and `quote` may be `auto`. `max_bytes` and `max_ratio` bound what a
    compressed or Parquet file may become.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    decimal: Literal[".", ","] = "."
    nulls: list[str] = [""]
    sheet: str | None = None
    max_line_bytes: int = Field(default=1_048_576, ge=1024)
    max_bytes: int = Field(default=64 << 30, ge=1024)
    max_ratio: int = Field(default=1000, ge=2)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        if value == AUTO:
            return value
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(
                f"'{value}' is no text encoding. Hint: Write utf-8, windows-1252 or iso-8859-15"
            ) from None
        return value

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if value != AUTO and (len(value) != 1 or not value.isascii()):
            raise ValueError("one ASCII character is needed. Hint: Write ';', ',' or \"\\t\"")
        return value


class Instant(Section):
    """A date or a time of day in a column, or one assumed for every row.

    Args of the file: `column`, the formats to try in order (`iso` reads ISO 8601), and `at`, the
    instant meant by a date without an hour: `start_of_day` (00:00 local) or `end_of_day` (the last
    microsecond of that local day: for a fact about a whole day, which is known only when it ends).
    `days_later` moves it by local calendar days: for a fact whose own date the source does not
    give, known so many days after another. `assumed` is a date used for every row, for sources that
    have none.
    """

    column: str | None = None
    formats: list[str] | None = None
    at: Literal["start_of_day", "end_of_day"] = "start_of_day"
    days_later: int = Field(default=0, ge=0, le=3660)
    assumed: date | None = None

    @model_validator(mode="after")
    def _one(self) -> Instant:
        if (self.column is None) == (self.assumed is None):
            raise ValueError("either column or assumed is needed. Hint: Give one of the two")
        if self.days_later and self.assumed is not None:
            raise ValueError("days_later needs a column. Hint: Write the later date in assumed")
        return self


InstantIn = Annotated[Instant, BeforeValidator(_column)]


class Value(Section):
    """A column, translated by `values` when given; an unlisted value sets the row aside."""

    column: str
    values: dict[str, str] | None = None


ValueIn = Annotated[Value, BeforeValidator(_column)]


class EventRule(Section):
    """One event that a row may hold.

    `code` is a vocabulary code; `{column}` in it is replaced by the column's value, translated by
    `values[column]`, where `"*": "*"` reads every code of the vocabulary as itself. `where` says
    when the row holds this event: a column to `present`, `absent`, or a list of accepted values. A
    rule with no `time` makes a static event. An `optional` rule is left out of files that lack a
    column of it, and the report says so.
    """

    code: str
    optional: bool = False
    values: dict[str, dict[str, str]] = {}
    where: dict[str, Literal["present", "absent"] | list[str]] = {}
    time: InstantIn | None = None
    recorded_at: InstantIn
    end_time: InstantIn | None = None
    numeric_value: str | None = None
    text_value: ValueIn | None = None
    reference: Columns | None = None

    @property
    def code_columns(self) -> tuple[str, ...]:
        """Columns named in `code`, in order."""
        return tuple(re.findall(r"\{([^{}]+)\}", self.code))

    @model_validator(mode="after")
    def _translated(self) -> EventRule:
        missing = [c for c in self.code_columns if c not in self.values]
        if missing:
            raise ValueError(
                f"code uses {missing} without values. Hint: Add values: {{{missing[0]}: {{...}}}}"
            )
        return self


class PersonKey(Section):
    """The column or columns that hold a person's identifier in one system."""

    system: str
    columns: Columns


Reading = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""The name of a reader; whether there is one is checked when mappings are."""


class Attribute(Section):
    """A column that tells persons apart without identifying them: a name, a birth date, a place.

    `formats` are those of a birth date; by default the source's.
    """

    column: str
    formats: list[str] | None = None


AttributeIn = Annotated[Attribute, BeforeValidator(_column)]
AttributeName = Literal["first_name", "last_name", "birth_date", "place", "phone", "email"]


class PersonsTable(Section):
    """A table of persons: which columns hold which identifier; every other column is not read.

    `keys` maps a system of identifiers (`nir`, or any source's own) to its column or columns.
    Identifiers on one row belong to one person: this is the declared crosswalk. `attributes` are
    read into the vault alone, sealed, for linkage and its review.
    """

    path: Inside
    reader: Reading | None = None
    sheet: str | None = None
    table: str | None = None
    keys: dict[str, Columns] = Field(min_length=1)
    attributes: dict[AttributeName, AttributeIn] = {}


class ColumnContract(Section):
    """What a column must hold for its rows to be believed; see :mod:`features.contracts`.

    The column must be in the file. `required`: every row has a value. `unique`: no value comes
    twice in the file. `allowed`, `matches` (a regular expression for the whole value), `min` and
    `max` (both included; numbers, or dates with `type: date`) are asked of the values there are.
    """

    type: Literal["text", "integer", "number", "date"] = "text"
    required: bool = False
    unique: bool = False
    allowed: list[str] | None = Field(default=None, min_length=1)
    min: float | date | None = None
    max: float | date | None = None
    matches: str | None = None

    @model_validator(mode="after")
    def _sensible(self) -> ColumnContract:
        bounds = [one for one in (self.min, self.max) if one is not None]
        if bounds and self.type == "text":
            raise ValueError("min and max need a type. Hint: Add type: number, integer or date")
        if any(isinstance(one, date) != (self.type == "date") for one in bounds):
            raise ValueError("a bound is not of the type. Hint: Write a date as 2024-01-31")
        if self.matches is not None:
            try:
                re.compile(self.matches)
            except re.error as error:
                raise ValueError(
                    f"matches is no regular expression ({error.msg}). Hint: Write [0-9]{{5}}"
                ) from None
        return self


class Table(Section):
    """A table of events: its file (`*` allowed), the key of a row, and the events of a row.

    An `optional` table may have no file; the report says so. In a source with `url`, `table` is a
    table or view of the database, as `schema.name`, and there is no path; `watermark` names the
    column that grows with every change of a row: only what lies beyond the last one read is read.

    `identifying` names columns that hold identifiers of persons besides `person` and `persons`, as
    a file number that is a NIR: they serve in row keys, hashed with the vault's key, and are never
    kept in an event.
    """

    path: Inside
    watermark: str | None = None
    name: str | None = None
    optional: bool = False
    reader: Reading | None = None
    sheet: str | None = None
    table: str | None = None
    row_key: Columns
    identifying: Annotated[list[str], BeforeValidator(_listed)] = []
    contract: dict[str, ColumnContract] = {}
    person: PersonKey | None = None
    events: list[EventRule] = Field(min_length=1)

    @model_validator(mode="after")
    def _optional_last(self) -> Table:
        codes = [rule.code for rule in self.events]
        for place, rule in enumerate(self.events):
            if rule.optional and rule.code in codes[place + 1 :]:
                raise ValueError(
                    f"an optional rule of {rule.code} stands before another of that code: without "
                    "it, the other's events would change their ids. Hint: Put it after the other"
                )
        return self


SQL = "sql"
"""The reader of tables of databases."""


def _named_in_database(table: Any, reader: Any) -> Any:
    if not isinstance(table, dict) or table.get("reader", reader) != SQL or "path" in table:
        return table
    if not isinstance(table.get("table"), str):
        raise ValueError("a table of a database has no name. Hint: Add table: schema.name")
    return {**{k: v for k, v in table.items() if k != "table"}, "path": table["table"]}


class Source(Section):
    """One service's system: its service, how it is written, its persons and its events.

    `preset` names a mapping that comes with Jalon, which the other keys override; `folder` is put
    before the paths of its tables, and `without` leaves some of them out (:mod:`features.presets`).
    `url` is the address of a database, with `${NAME}` for what the environment holds; its tables
    are read by the reader `sql`.
    """

    preset: str | None = None
    folder: str | None = None
    without: list[str] = []
    url: str | None = None
    service: str
    reader: Reading
    options: ReaderOptions = ReaderOptions()
    formats: list[str] = ["iso"]
    timezone: str | None = None
    heartbeat: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}d$")] | None = None
    person: PersonKey
    persons: list[PersonsTable] = []
    tables: list[Table] = Field(min_length=1)

    def reader_for(self, table: Table | PersonsTable) -> Reading:
        """How a table is read: its own reader, or the source's."""
        return table.reader or self.reader

    def in_database(self, table: Table | PersonsTable) -> bool:
        """Whether a table is one of the database at `url`, `path` being its name there."""
        return self.url is not None and self.reader_for(table) == SQL

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("preset") is None:
            return value
        from features.presets import expanded

        return expanded(value)

    @model_validator(mode="before")
    @classmethod
    def _tables_of_database(cls, value: Any) -> Any:
        """In a database the name of a table stands where a file's path stands otherwise."""
        if not isinstance(value, dict) or value.get("url") is None:
            return value
        made = {"reader": SQL, **value}
        for key in ("tables", "persons"):
            if isinstance(made.get(key), list):
                made[key] = [_named_in_database(one, made["reader"]) for one in made[key]]
        return made

    @field_validator("url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            from features.sources.addresses import Address

            Address.of(value)
        return value

    @model_validator(mode="after")
    def _database(self) -> Source:
        personal = {c for one in self.persons for columns in one.keys.values() for c in columns}
        everything: list[Table | PersonsTable] = [*self.persons, *self.tables]
        for table in everything:
            if self.reader_for(table) == SQL and self.url is None:
                raise ValueError("reader sql without url. Hint: Add url: postgresql://...")
            if not isinstance(table, Table) or table.watermark is None:
                continue
            if not self.in_database(table):
                raise ValueError(
                    "watermark is for tables of a database. Hint: Remove it: a file is read again "
                    "when it changes"
                )
            known = {*personal, *(table.person or self.person).columns, *table.identifying}
            if table.watermark in known:
                raise ValueError(
                    "watermark names a column that identifies persons. Hint: Name one of the last "
                    "change"
                )
        return self

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return value if value is None else _known_zone(value)


class CodeEntry(Section):
    """A code that the territory adds to the vocabulary."""

    code: str
    label: Label
    theme: str
    planned: bool = False
    unit: str | None = None
    provenance: str = "territory"


class ValueRange(Section):
    """Numeric values from `min`, included, to `max`, excluded; at least one of the two."""

    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _some(self) -> ValueRange:
        if self.min is None and self.max is None:
            raise ValueError("neither min nor max. Hint: Give one, or leave the range out")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("no value lies from min to max. Hint: Give a min below max")
        return self


class FeatureGroup(Section):
    """A family of features over the same events.

    `measures` maps a measure to its windows: `{count: [30d, 90d], days_since_last: [all]}`. The
    events are those of `codes` (patterns with `*`) and of the domains in `domain`, recorded by
    `services`, with a numeric value in `value`, and with a reference that an event of `about` has,
    too: whichever are given. `among` (denominator of `share`), `closed_by` (end of a spell),
    `answered_by`, `followed_by`, `alongside` (a second kind of spells) and `anchor` (start of the
    window `since`) are patterns as `codes` is. `match` says what an answer or a follower must share
    with the event: its `reference`, or only the `person`; by person, `answered_by_service` says who
    may answer: `any` service, any `other` than the event's own, or the `receiving` one that the
    event's text_value names (any other where it names none). `peers` says what makes two people
    peers: the code, service, reference or text_value of their latest event of `codes`; `of` names
    the features compared. `each` makes one group for every code: `{name}.{domain_event_status}`.
    `direction` says which way a value is usually worrying; it changes no figure.
    """

    name: str
    codes: Annotated[list[str], BeforeValidator(_listed)] = []
    domain: Annotated[list[str], BeforeValidator(_listed)] = []
    services: list[str] | None = None
    value: ValueRange | None = None
    about: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    theme: str
    label: Label | None = None
    measures: dict[str, list[str]] = Field(min_length=1)
    among: list[str] | None = None
    closed_by: list[str] | None = None
    alongside: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    answered_by: list[str] | None = None
    followed_by: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    anchor: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    match: Literal["reference", "person"] = "reference"
    answered_by_service: Literal["any", "other", "receiving"] = "any"
    within: int | None = Field(default=None, ge=1)
    peers: Literal["code", "service", "reference", "text_value"] | None = None
    of: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    least: int = Field(default=20, ge=1)
    each: bool = False
    direction: Literal["higher", "lower"] | None = None

    @model_validator(mode="after")
    def _label_or_each(self) -> FeatureGroup:
        if self.label is None and not self.each:
            raise ValueError("no label. Hint: Add label: {fr: ..., en: ...}")
        return self

    @field_validator("measures")
    @classmethod
    def _windows(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for measure, windows in value.items():
            for window in windows:
                if not WINDOW.match(window):
                    raise ValueError(
                        f"{measure}: window '{window}' is neither days, a period nor 'all'. "
                        "Hint: Write 90d, since, month, last_month or all"
                    )
            if len(set(windows)) != len(windows):
                raise ValueError(f"{measure}: a window stands twice. Hint: Keep one")
        return value


class CatalogueSettings(Section):
    """Which features: the default catalogue, or none, and the territory's own groups."""

    extends: Literal["default", "none"] = "default"
    groups: list[FeatureGroup] = []


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"'{value}' is no time zone. Hint: Write one as Europe/Paris")
    return value


class LinkageSettings(Section):
    """How persons are linked whom no key joins: by how alike their records are.

    Pairs of a probability from `merge_above` on are merged, from `review_above` on put on the list
    for review, below left alone. Records are compared that agree in every attribute of one of the
    blocks of `block_on`. `seed` draws the sample that the model is estimated from.
    """

    merge_above: float = Field(default=0.99, gt=0, le=1)
    review_above: float = Field(default=0.8, gt=0, le=1)
    block_on: list[Annotated[list[AttributeName], Field(min_length=1)]] = [
        ["birth_date"],
        ["first_name", "last_name"],
        ["phone", "first_name"],
        ["phone", "last_name"],
        ["email"],
    ]
    seed: int = 2026

    @model_validator(mode="after")
    def _ordered(self) -> LinkageSettings:
        if self.review_above > self.merge_above:
            raise ValueError("review_above is over merge_above. Hint: Exchange the two")
        return self


class IdentitySettings(Section):
    """Which rows of persons are one person's.

    `rules` lists systems of identifiers in the order in which they are believed, as
    `[[nir], [department_number], [role, file_number]]`: equal values make rows one person's,
    unless an earlier rule tells them apart. Without it every system is believed alike. `linkage`,
    where given, links the rest by names, birth dates and the like.
    """

    rules: list[Columns] | None = Field(default=None, min_length=1)
    linkage: LinkageSettings | None = None


class RetentionSettings(Section):
    """For how long data are kept; `null` keeps them until somebody deletes them.

    A person is erased whose last contact lies further back than `months_after_last_contact`. Rows
    set aside and entries of what was read are deleted that many days after they were last written,
    or met.
    """

    months_after_last_contact: int | None = Field(default=24, ge=1, le=1200)
    set_aside_days: int | None = Field(default=365, ge=1)
    ledger_days: int | None = Field(default=730, ge=1)


class FeaturesSettings(Section, Placed):
    """The `features:` section: sources and their mapping, vocabulary, catalogue.

    `smallest_group` is the fewest people that an aggregate is shown of, where a person reads it.
    """

    timezone: str = "Europe/Paris"
    observation: Observation
    buckets: int = Field(default=16, ge=1, le=4096)
    smallest_group: int = Field(default=11, ge=1)
    vocabulary: list[CodeEntry] = []
    sources: dict[str, Source] = Field(min_length=1)
    identity: IdentitySettings = IdentitySettings()
    retention: RetentionSettings = RetentionSettings()
    catalogue: CatalogueSettings = CatalogueSettings()

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return _known_zone(value)

    @field_validator("sources")
    @classmethod
    def _names(cls, value: dict[str, Source]) -> dict[str, Source]:
        for name in value:
            if not NAME.match(name):
                raise ValueError(
                    f"source name '{name}' is not a lower-case word. "
                    "Hint: Use letters, digits and _"
                )
        return value

    @field_validator("sources")
    @classmethod
    def _vocabulary_values(
        cls, value: dict[str, Source], info: ValidationInfo
    ) -> dict[str, Source]:
        own: list[CodeEntry] = info.data.get("vocabulary", [])
        return spelled_out(value, [entry.code for entry in own])

    @property
    def services(self) -> tuple[str, ...]:
        """The services that share their data, in the order of the file."""
        return tuple(dict.fromkeys(source.service for source in self.sources.values()))

    def service_of(self, source: str) -> str:
        """The service that a source belongs to."""
        return self.sources[source].service
