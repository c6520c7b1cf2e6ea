"""One part of a stored matrix: its rows, blocks of columns and peer keys, each whole or absent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.blocks import read_columns, writing
from features.catalogue import TEXTS, Feature
from features.event_sets import EventSet
from features.measures import MEASURES

if TYPE_CHECKING:
    from features.peers import Keys

__all__ = ["PartFolder", "column_name", "digest", "seen_name"]


def digest(*said: Any) -> str:
    """A short name for what was said: 20 hexadecimal digits of its Sha256."""
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:20]


def column_name(feature: Feature, state: str = "") -> str:
    """Name of a feature's column on disk: the same as long as its values are.

    Args:
        feature: The feature; what it is called does not matter.
        state: For a feature that compares people, what it was compared with.
    """
    texts = {*TEXTS, "name", "group"}
    said = [getattr(feature, one.name) for one in fields(Feature) if one.name not in texts]
    return digest(said, MEASURES[feature.measure].rule, state)


def seen_name(events: EventSet) -> str:
    """Name of the column that holds the day of the latest event of a set."""
    services = None if events.services is None else sorted(events.services)
    return f"seen-{digest(events.codes, services)}"


@dataclass(frozen=True)
class PartFolder:
    """The files of one part.

    A block is a Parquet file of columns; a text file beside it, written last, lists them. Without
    that list the block does not count, so that nothing half-written is ever read.
    """

    path: Path

    def columns(self) -> dict[str, Path]:
        """The file of every column that is there."""
        found = {}
        for listed in sorted(self.path.glob("block-*.json")):
            file = listed.with_suffix(".parquet")
            if not file.is_file():  # a removal that was cut short
                continue
            names = json.loads(listed.read_text(encoding="utf-8"))
            found.update(dict.fromkeys(names, file))
        return found

    @contextmanager
    def block(self, names: Sequence[str]) -> Iterator[BinaryIO]:
        """A new file for some columns; they count once it is written."""
        file = self.path / f"block-{digest(sorted(names))}.parquet"
        with writing(file) as stream:
            yield stream
        with writing(file.with_suffix(".json")) as stream:
            stream.write(json.dumps(list(names)).encode())

    def read(self, names: Sequence[str], out: npt.NDArray[Any], at: int) -> None:
        """Columns side by side into `out[at:]`, by their place in `names`."""
        there = self.columns()
        for file in dict.fromkeys(there[name] for name in names):
            places = [place for place, name in enumerate(names) if there[name] == file]
            read_columns(file, [names[place] for place in places], out, at, places)

    def keys_file(self, comparisons: str) -> Path:
        """Where the peer keys of some comparisons lie."""
        return self.path / f"keys-{comparisons}.parquet"

    def write_keys(self, comparisons: str, keys: Sequence[Keys]) -> None:
        """Keep the peer key of each row in each comparison."""
        columns = [
            pa.DictionaryArray.from_arrays(
                pa.array(one.number, pa.int32(), mask=one.number < 0),
                pa.array(one.names, pa.string()),
            )
            for one in keys
        ]
        table = pa.table(columns, names=[str(place) for place in range(len(keys))])
        with writing(self.keys_file(comparisons)) as stream:
            pq.write_table(table, stream, compression="zstd")

    def read_keys(self, comparisons: str) -> list[Keys]:
        """The keys written before."""
        from features.peers import Keys

        file = self.keys_file(comparisons)
        names = pq.read_schema(file).names
        found = []
        for column in pq.read_table(file, read_dictionary=names, partitioning=None).columns:
            whole: Any = column.unify_dictionaries().combine_chunks()
            if isinstance(whole, pa.ChunkedArray):
                whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
            number = np.asarray(whole.indices.fill_null(-1), np.int32)
            found.append(Keys(tuple(whole.dictionary.to_pylist()), number))
        return found
