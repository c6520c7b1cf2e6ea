"""Whether a folder is a MEDS dataset: by the format's own schemas, and by what they cannot say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import ConfigurationError, DataError
from features.event_order import longs

__all__ = ["check_meds", "is_valid", "meds_package"]

Longs = npt.NDArray[np.int64]


def check_meds(folder: Path) -> int:
    """Whether a folder is a MEDS dataset; how many rows of data it has.

    By the schemas of the `meds` package, and by what they cannot say: a person's rows are in one
    file, together, static ones first, then by time; every code is described; every person has a
    split, where there are splits.

    Args:
        folder: The dataset.

    Raises:
        ConfigurationError: the `meds` package is not installed.
        DataError: everything that is wrong, file by file.
    """
    meds = meds_package()
    faults: list[str] = []
    seen = [np.empty(0, np.int64)]
    codes: set[str] = set()
    rows = 0
    files = sorted((folder / meds.data_subdirectory).rglob("*.parquet"))
    for file in files:
        name = file.relative_to(folder).as_posix()
        table = pq.read_table(file)
        if not is_valid(meds.DataSchema, table, name, faults):
            continue
        rows += table.num_rows
        codes |= {str(code) for code in pc.unique(table["code"]).to_pylist()}
        subjects = longs(table["subject_id"])
        time = table["time"].cast(pa.int64())
        instants = longs(time.fill_null(pa.scalar(np.iinfo(np.int64).min)))
        same = subjects[1:] == subjects[:-1]
        distinct = np.unique(subjects)
        if len(distinct) != int((~same).sum()) + min(len(subjects), 1):
            faults.append(f"{name}: rows of a person are not together")
        if (same & (instants[1:] < instants[:-1])).any():
            faults.append(f"{name}: rows of a person are not in order of time")
        seen.append(distinct)
    people = np.concatenate(seen)
    if len(np.unique(people)) != len(people):
        faults.append("a person is in several files")
    if not rows:
        faults.append("no row of data")
    _check_metadata(folder, meds, people, codes, faults)
    if faults:
        raise DataError(
            f"checking the MEDS dataset '{folder.name}': " + "; ".join(faults),
            expected="a dataset as the meds package describes it",
            got=f"{len(faults)} fault(s)",
            hint="Export it again.",
        )
    return rows


def meds_package() -> Any:
    """The `meds` package, an optional extra.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import meds
    except ImportError as error:
        raise ConfigurationError(
            "checking a MEDS dataset",
            expected="the package meds",
            got="none installed",
            hint="Install it: pip install 'jalon[meds]'.",
        ) from error
    return meds


def is_valid(schema: Any, content: Any, name: str, faults: list[str]) -> bool:
    """Whether a schema of the `meds` package takes something; what it says is added to faults.

    Args:
        schema: Of tables, or of JSON.
        content: A table, or a dictionary.
        name: What it is called in the fault.
        faults: Made longer.
    """
    from flexible_schema import SchemaValidationError, TableValidationError

    try:
        schema.validate(content)
    except (SchemaValidationError, TableValidationError) as error:
        faults.append(f"{name}: {error}")
        return False
    return True


def _check_metadata(
    folder: Path, meds: Any, people: Longs, codes: set[str], faults: list[str]
) -> None:
    described = folder / meds.code_metadata_filepath
    if not described.is_file():
        faults.append(f"no {meds.code_metadata_filepath}")
    else:
        table = pq.read_table(described)
        if is_valid(meds.CodeMetadataSchema, table, meds.code_metadata_filepath, faults):
            missing = codes - set(table["code"].to_pylist())
            if missing:
                faults.append(f"{len(missing)} code(s) without description")
    splits = folder / meds.subject_splits_filepath
    if splits.is_file():
        table = pq.read_table(splits)
        if is_valid(meds.SubjectSplitSchema, table, meds.subject_splits_filepath, faults):
            missing_people = len(np.setdiff1d(people, longs(table["subject_id"])))
            if missing_people:
                faults.append(f"{missing_people} person(s) without split")
    said = folder / meds.dataset_metadata_filepath
    if not said.is_file():
        faults.append(f"no {meds.dataset_metadata_filepath}")
    else:
        content = json.loads(said.read_text(encoding="utf-8"))
        is_valid(meds.DatasetMetadataSchema, content, meds.dataset_metadata_filepath, faults)
