"""Timelines as a MEDS dataset (Medical Event Data Standard): data, codes, splits, what it is."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import ConfigurationError, DataError
from features.event_order import longs, sorted_events
from features.events import EVENTS
from features.meds_check import check_meds, meds_package
from features.sources.meds import OBSERVATION_END
from features.timelines import NEVER, Timelines
from features.vocabulary import Vocabulary

__all__ = ["EXTRAS", "Dataset", "MedsExport", "export_meds", "seeded_splits"]

Longs = npt.NDArray[np.int64]

CORE = ("subject_id", "time", "code", "numeric_value", "text_value")
EXTRAS = ("recorded_at", "end_time", "source", "reference", "event_id")
"""Columns of an event kept beside those of MEDS, which allows others."""

SPLITS = ("train", "tuning", "held_out")
SHARES = (0.7, 0.15, 0.15)
ROWS = 1_000_000
"""Events of a shard at most, about, and so the memory an export takes."""

MUST = ("subject_id", "code")

NEWEST: datetime = NEVER.item()
SEED = 2026
_END_LABELS = ("Fin de l'observation", "End of observation")


@dataclass(frozen=True)
class MedsExport:
    """What one export wrote.

    Attributes:
        events: Rows that are events.
        ends: Rows that say until when a person was observed.
        subjects: People.
        shards: Files of data.
        codes: Codes described.
        splits: People by split.
        left_out: People who object, and are not in it.
        columns: Columns of the data, in order.
    """

    events: int
    ends: int
    subjects: int
    shards: int
    codes: int
    splits: dict[str, int]
    left_out: int
    columns: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON takes them."""
        return asdict(self)


@dataclass(frozen=True)
class Dataset:
    """What a dataset is called and how it is made.

    Attributes:
        name: The territory's.
        until: End of observation, UTC without zone.
        as_known: Only what was known strictly before this instant, UTC without zone; by default
            the newest versions.
        lang: Language of the descriptions of codes.
        extras: Keep :data:`EXTRAS`.
        ends: Add for each person a row at the end of observation, so that a horizon that was
            observed can be told from one that was not: nothing else in MEDS says it.
        leave_out: People who are not to be in it, int64.
        splits: Split of people, by pseudonym, who are not in it are in `train`; by default
            :func:`seeded_splits`.
        seed: For the splits.
    """

    name: str
    until: datetime
    as_known: datetime | None = None
    lang: str = "fr"
    extras: bool = True
    ends: bool = True
    leave_out: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    splits: dict[int, str] | None = None
    seed: int = SEED

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data, in order."""
        return (*CORE, *(EXTRAS if self.extras else ()))

    @property
    def end(self) -> datetime:
        """Until when people were observed, as far as was known."""
        return self.until if self.as_known is None else min(self.until, self.as_known)


def export_meds(
    timelines: Timelines,
    vocabulary: Vocabulary,
    folder: Path,
    dataset: Dataset,
    *,
    rows: int = ROWS,
    progress: Callable[[str, float], None] | None = None,
) -> MedsExport:
    """A MEDS dataset in a new folder, checked by the `meds` package before it appears there.

    Of each event the newest version is written; withdrawn ones are left out. A person is in one
    shard, static rows first, then by time. It is written beside the folder and renamed at the end,
    so that what lies there is whole. People are called by their pseudonyms: it is personal data.

    MEDS has no instant at which a fact was known: whoever learns from `time` alone learns from
    facts before they were entered. `recorded_at` says it; :attr:`Dataset.as_known` leaves out what
    was entered later.

    Args:
        timelines: The territory's.
        vocabulary: Describes the codes.
        folder: Must not exist, or be empty.
        dataset: What to write.
        rows: Events of a shard at most, about.
        progress: Called with the step under way and the share done, 0 to 1.

    Raises:
        ConfigurationError: the `meds` package is not installed, or the folder is not empty.
        DataError: no event to write, or a dataset that breaks the format.
    """
    meds_package()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"exporting to '{folder}'",
            expected="a folder that is empty or does not exist",
            got="one with files" if folder.is_dir() else "a file",
            hint="Give another folder with --to.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        done = _written(timelines, vocabulary, beside, dataset, rows, progress or _silent)
        check_meds(beside)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return done


def seeded_splits(subjects: Longs, seed: int = SEED) -> npt.NDArray[np.object_]:
    """The split of each person: about 70 % `train`, 15 % `tuning`, 15 % `held_out`.

    It hangs on the pseudonym and the seed alone: who comes later moves nobody.

    Args:
        subjects: int64.
        seed: Another one draws others.

    Example:
        >>> seeded_splits(np.arange(1, 6)).tolist()
        ['train', 'train', 'tuning', 'train', 'tuning']
    """
    # The finaliser of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
    # generators", 2014.
    step = np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    mixed = np.asarray(subjects, np.int64).astype(np.uint64) + step
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    share = (mixed ^ (mixed >> np.uint64(31))) / 2.0**64
    return np.array(SPLITS, object)[np.searchsorted(np.cumsum(SHARES)[:-1], share, side="right")]


def _silent(step: str, share: float) -> None:
    """No progress."""


def _written(
    timelines: Timelines,
    vocabulary: Vocabulary,
    folder: Path,
    dataset: Dataset,
    rows: int,
    progress: Callable[[str, float], None],
) -> MedsExport:
    (folder / "data").mkdir()
    (folder / "metadata").mkdir()
    chunks = timelines.chunks(rows=rows)
    people: list[Longs] = [np.empty(0, np.int64)]
    codes: set[str] = set()
    events = ends = left_out = shards = 0
    for number, chunk in enumerate(chunks):
        progress("data", number / len(chunks))
        table = timelines.read_chunk(chunk, EVENTS.names, dataset.as_known or NEWEST)
        mine = np.unique(longs(table["subject_id"]))
        kept = np.setdiff1d(mine, dataset.leave_out)
        if len(kept) < len(mine):
            left_out += len(mine) - len(kept)
            table = table.filter(pc.is_in(table["subject_id"], value_set=pa.array(kept)))
        if not len(kept):
            continue
        events += table.num_rows
        if dataset.ends:
            table = sorted_events(pa.concat_tables([table, _ends(kept, dataset.end)]))
            ends += len(kept)
        codes |= {str(code) for code in pc.unique(table["code"]).to_pylist()}
        pq.write_table(_of_meds(table, dataset), folder / "data" / f"{shards}.parquet")
        shards += 1
        people.append(kept)
    if not events:
        raise DataError(
            "exporting timelines",
            expected="at least one event of a person who does not object",
            got="none",
            hint="Run `jalon ingest TERRITORY` first, or give a later date with --as-known.",
        )
    progress("metadata", 0.95)
    subjects = np.concatenate(people)
    splits = _splits(subjects, dataset)
    described = _codes(vocabulary, codes, dataset.lang)
    pq.write_table(described, folder / "metadata" / "codes.parquet")
    pq.write_table(splits, folder / "metadata" / "subject_splits.parquet")
    said = _said(timelines, dataset)
    text = json.dumps(said, ensure_ascii=False, indent=2) + "\n"
    (folder / "metadata" / "dataset.json").write_text(text, encoding="utf-8")
    counted: Any = pc.value_counts(splits["split"])
    return MedsExport(
        events,
        ends,
        len(subjects),
        shards,
        described.num_rows,
        {one["values"]: one["counts"] for one in counted.to_pylist()},
        left_out,
        dataset.columns,
    )


def _ends(subjects: Longs, end: datetime) -> pa.Table:
    """One row a person at the end of observation; of an event's columns it has what it must."""
    count = len(subjects)
    given: dict[str, Any] = {
        "subject_id": pa.array(subjects),
        "time": pa.repeat(pa.scalar(end, pa.timestamp("us")), count),
        "code": pa.repeat(OBSERVATION_END, count),
        # Known when it is over; the contract wants the others, which are taken away again.
        "recorded_at": pa.repeat(pa.scalar(end, pa.timestamp("us")), count),
        "source": pa.repeat("", count),
        "event_id": pa.repeat("", count),
    }
    arrays = [
        given[one.name].cast(one.type) if one.name in given else pa.nulls(count, one.type)
        for one in EVENTS
    ]
    return pa.Table.from_arrays(arrays, schema=EVENTS)


def _of_meds(events: pa.Table, dataset: Dataset) -> pa.Table:
    arrays = []
    fields: list[pa.Field[Any]] = []
    for name in dataset.columns:
        column: Any = events[name]
        if name in ("source", "event_id"):
            column = pc.if_else(pc.equal(column, pa.scalar("")), None, column)
        arrays.append(column)
        fields.append(pa.field(name, EVENTS.field(name).type, nullable=name not in MUST))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _splits(subjects: Longs, dataset: Dataset) -> pa.Table:
    split = seeded_splits(subjects, dataset.seed)
    if dataset.splits is not None:
        told = dataset.splits
        split = np.array([told.get(one, SPLITS[0]) for one in subjects.tolist()], object)
    fields: list[pa.Field[Any]] = [
        pa.field("subject_id", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
    arrays: list[Any] = [pa.array(subjects), pa.array(split, pa.string())]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _codes(vocabulary: Vocabulary, met: set[str], lang: str) -> pa.Table:
    """Every code of the vocabulary and of the data: labels, what it belongs to, unit, theme."""
    rows = []
    for code in (*vocabulary.codes, *sorted(met - set(vocabulary.codes))):
        parts = code.split("//")
        parents = ["//".join(parts[:most]) for most in range(len(parts) - 1, 0, -1)]
        row: dict[str, Any] = {"code": code, "parent_codes": parents}
        if code in vocabulary:
            entry = vocabulary[code]
            row |= {"label_fr": entry.label.fr, "label_en": entry.label.en, "theme": entry.theme}
            row |= {"unit": entry.unit, "planned": entry.planned}
        elif code == OBSERVATION_END:
            row |= {"label_fr": _END_LABELS[0], "label_en": _END_LABELS[1]}
        row["description"] = row.get(f"label_{lang}")
        rows.append(row)
    fields: list[pa.Field[Any]] = [
        pa.field("code", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("parent_codes", pa.list_(pa.string())),
        *(pa.field(name, pa.string()) for name in ("label_fr", "label_en", "theme", "unit")),
        pa.field("planned", pa.bool_()),
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _said(timelines: Timelines, dataset: Dataset) -> dict[str, Any]:
    as_known = dataset.as_known
    known = "newest" if as_known is None else f"as known before {as_known.isoformat()} UTC"
    said: dict[str, Any] = {
        "dataset_name": dataset.name,
        "dataset_version": f"timelines {timelines.version}, {known}",
        "etl_name": "jalon",
        "etl_version": version("jalon"),
        "meds_version": version("meds"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if dataset.extras:
        said["raw_source_id_columns"] = ["reference", "event_id"]
        said["site_id_columns"] = ["source"]
        said["other_extension_columns"] = ["recorded_at", "end_time"]
    return said
