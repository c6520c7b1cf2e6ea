"""A matrix that lies on disk: read whole, part by part, or as a memory-mapped array."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.blocks import ROWS, Block, writing
from features.catalogue import Catalogue, Feature
from features.layout import groups_of
from features.matrix import Matrix
from features.matrix_file import table_bytes
from features.part_folder import PartFolder, column_name, digest, seen_name
from features.signed import check_parts, kept, prune, read_signed, write_signed

if TYPE_CHECKING:
    from features.peers import PeerGroups

__all__ = ["StoredMatrix", "comparisons_name"]

COMMAND = "jalon features build TERRITORY"


def comparisons_name(catalogue: Catalogue) -> str | None:
    """Name of the peer keys that a catalogue needs; None when it compares nobody."""
    from features.peers import comparisons

    found = comparisons(catalogue)
    return digest([one.text for one in found]) if found else None


@dataclass(frozen=True, eq=False)
class StoredMatrix:
    """Rows and columns in a store, as `build_store` left them.

    On disk the rows stand by person and time; in a :class:`features.matrix.Matrix` they stand as
    in the cohort.

    Attributes:
        folder: The store.
        catalogue: The columns.
        cohort: The rows asked for, in their order.
        parts: Names of the parts, in the order of the people.
        sizes: Rows of each part.
        places: int64 [rows] position in the cohort of each row on disk.
        data_version: Of the timelines read.
        last_seen: Whether the day of each group's latest event was kept.
    """

    folder: Path
    catalogue: Catalogue = field(repr=False)
    cohort: pa.Table = field(repr=False)
    parts: tuple[str, ...] = field(repr=False)
    sizes: tuple[int, ...] = field(repr=False)
    places: npt.NDArray[np.int64] = field(repr=False)
    data_version: int
    last_seen: bool = True

    @cached_property
    def hash(self) -> str:
        """Sha256 of what decides every value: data and rows of the parts, columns, cohort."""
        said = sha256(json.dumps([self.parts, self.catalogue.hash, self.last_seen]).encode())
        for part in table_bytes(self.cohort):
            said.update(part)
        return said.hexdigest()

    @property
    def file(self) -> Path:
        """Where it is said what the matrix is: what :meth:`open` opens."""
        return self.folder / f"matrix-{self.hash[:20]}.json"

    @property
    def rows(self) -> int:
        """Rows of the matrix."""
        return sum(self.sizes)

    @property
    def _names(self) -> list[str]:
        """Each column's name on disk, in the order of the catalogue."""
        return [self._name(feature) for feature in self.catalogue.features]

    def _name(self, feature: Feature) -> str:
        """A column that compares people hangs on every part and on what it compares."""
        if not feature.among_peers:
            return column_name(feature)
        of = None if feature.of is None else column_name(self.catalogue.feature(feature.of))
        return column_name(feature, digest(self.parts, of))

    def blocks(self) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """The values part by part, in the order on disk, in memory that is used again.

        Yields:
            The rows on disk that they are, and float32 [rows of the part, columns].
        """
        names, first = self._names, 0
        room = np.empty((max(self.sizes, default=0), len(names)), np.float32)
        for part, size in zip(self.parts, self.sizes, strict=True):
            self._folder(part).read(names, room, 0)
            yield slice(first, first + size), room[:size]
            first += size

    def matrix(self) -> Matrix:
        """The whole matrix in memory, in the order of the cohort."""
        values = np.empty((self.rows, len(self.catalogue)), np.float32)
        for rows, block in self.blocks():
            values[self.places[rows]] = block
        return Matrix(
            values, self.catalogue, self.cohort, self._days(), self.data_version, self.peers()
        )

    def _days(self) -> npt.NDArray[np.int32]:
        """Day of each group's latest event, in the order of the cohort."""
        days = np.empty((self.rows, len(self._seen)), np.int32)
        first = 0
        for part in self._days_of_parts():
            days[self.places[first : first + len(part)]] = part
            first += len(part)
        return days

    def _days_of_parts(self) -> Iterator[npt.NDArray[np.int32]]:
        for part, size in zip(self.parts, self.sizes, strict=True):
            room = np.empty((size, len(self._seen)), np.int32)
            if self._seen:
                self._folder(part).read(self._seen, room, 0)
            yield room

    @cached_property
    def _seen(self) -> list[str]:
        """Names on disk of the columns of days."""
        if not self.last_seen:
            return []
        return [seen_name(one) for one in groups_of(self.catalogue).values()]

    def memmap(self) -> np.memmap[Any, np.dtype[np.float32]]:
        """The values as an array on disk, float32 [rows, columns], by person and time.

        LightGBM and scikit-learn read it without the whole being in memory. It is written at the
        first call and found again at the next, until another matrix is built in the store.

        Returns:
            A read-only array; `keys` says whose the rows are.
        """
        file = self._values_file
        if not file.is_file():
            with writing(file) as stream:
                shape = (self.rows, len(self.catalogue))
                np.lib.format.write_array_header_2_0(
                    stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
                )
                for _, block in self.blocks():
                    stream.write(np.ascontiguousarray(block).data)
        return np.load(file, mmap_mode="r")

    @property
    def _values_file(self) -> Path:
        return self.folder / f"values-{self.hash[:20]}.npy"

    def content_hash(self) -> str:
        """What `matrix().hash` says, without the whole matrix in memory.

        It is the same wherever the matrix was computed, which `hash` is not: that one names the
        files it was computed from.
        """
        said = sha256(f"{self.catalogue.hash} {self.data_version}".encode())
        said.update(str((self.rows, len(self.catalogue))).encode())
        for start in range(0, self.rows, ROWS):
            # Mapped anew for each block, so that pages read before count as memory no longer.
            said.update(self.memmap()[self.on_disk[start : start + ROWS]].data)
        said.update(str((self.rows, len(self._seen))).encode())
        if (np.diff(self.places) == 1).all():
            for days in self._days_of_parts():
                said.update(days.data)
        else:
            said.update(self._days().data)
        for part in table_bytes(self.cohort):
            said.update(part)
        return said.hexdigest()

    @cached_property
    def on_disk(self) -> npt.NDArray[np.int64]:
        """Row on disk of each row of the cohort: the inverse of `places`."""
        return np.argsort(self.places)

    def keys(self) -> pa.Table:
        """The cohort in the order on disk: that of `blocks` and `memmap`."""
        return self.cohort.take(pa.array(self.places, pa.int64()))

    def files(self) -> list[Path]:
        """Every Parquet file that holds a column of the matrix."""
        found: dict[Path, None] = {}
        for part in self.parts:
            there = self._folder(part).columns()
            found |= dict.fromkeys(there[name] for name in self._names)
        return list(found)

    def peers(self) -> PeerGroups | None:
        """The groups that people were compared in; None without such columns."""
        from features.peers import PeerGroups

        file = self._peers_file()
        return None if file is None else PeerGroups.from_table(pq.read_table(file))

    def compare_peers(self) -> None:
        """Write the columns that compare people, unless they are there for this very state."""
        from features.peers import Keys, compare, narrow

        compared, peers_file = comparisons_name(self.catalogue), self._peers_file()
        if compared is None or peers_file is None:
            return
        wanted = [f for f in self.catalogue.features if f.among_peers]
        names = [self._name(feature) for feature in wanted]
        there = [set(self._folder(part).columns()) for part in self.parts]
        if peers_file.is_file() and all(set(names) <= found for found in there):
            return
        some = narrow(self.catalogue)
        values = np.full((self.rows, len(some)), np.nan, np.float32)
        own = [
            (place, column_name(f)) for place, f in enumerate(some.features) if not f.among_peers
        ]
        first = 0
        for part, size in zip(self.parts, self.sizes, strict=True):
            room = np.empty((size, len(own)), np.float32)
            self._folder(part).read([name for _, name in own], room, 0)
            for column, (place, _) in enumerate(own):
                values[first : first + size, place] = room[:, column]
            first += size
        parts = [self._folder(part).read_keys(compared) for part in self.parts]
        keys = [Keys.joined(column) for column in zip(*parts, strict=True)]
        cohort = self.keys()
        subject = np.asarray(cohort["subject_id"].to_numpy(), np.int64)
        instant = np.asarray(cohort["prediction_time"].cast(pa.int64()).to_numpy(), np.int64)
        groups = compare(some, values, keys, instant, subject)
        columns = [some.places[feature.name] for feature in wanted]
        first = 0
        for part, size in zip(self.parts, self.sizes, strict=True):
            with self._folder(part).block(names) as stream:
                block = Block(stream, names, [])
                rows = np.ascontiguousarray(values[first : first + size][:, columns])
                block.take(0, rows, np.empty((size, 0), np.int32))
                block.close()
            first += size
        with writing(peers_file) as stream:
            pq.write_table(groups.to_table(), stream, compression="zstd")

    def sign(self) -> Path:
        """Write what the matrix is beside its parts, and remove parts of matrices long replaced."""
        peers = self._peers_file()
        said = {
            "hash": self.hash,
            "catalogue": json.loads(self.catalogue.to_json()),
            "parts": self.parts,
            "sizes": self.sizes,
            "data_version": self.data_version,
            "last_seen": self.last_seen,
            "peers": peers and peers.name,
        }
        places = pa.array(np.argsort(self.places))
        write_signed(self.file, said, self.cohort.append_column("_place_on_disk", places))
        self._prune()
        return self.file

    @classmethod
    def open(cls, file: str | Path) -> StoredMatrix:
        """A matrix by the file that `sign` wrote.

        Raises:
            DataError: no such file, or parts of it are gone.
        """
        path = Path(file)
        said, rows = read_signed(path, COMMAND)
        places = np.argsort(rows["_place_on_disk"].to_numpy())
        found = cls(
            path.parent,
            Catalogue.from_json(json.dumps(said["catalogue"])),
            rows.drop_columns(["_place_on_disk"]),
            tuple(said["parts"]),
            tuple(said["sizes"]),
            places,
            said["data_version"],
            said["last_seen"],
        )
        gone = sum(not found._folder(part).path.is_dir() for part in found.parts)
        check_parts(path, gone, len(found.parts), COMMAND)
        return found

    def _folder(self, part: str) -> PartFolder:
        return PartFolder(self.folder / "parts" / part)

    def _peers_file(self) -> Path | None:
        compared = comparisons_name(self.catalogue)
        if compared is None:
            return None
        wanted = [self._name(f) for f in self.catalogue.features if f.among_peers]
        return self.folder / f"peers-{digest(compared, wanted)}.parquet"

    def _prune(self) -> None:
        left = kept(self.folder, "matrix")
        prune(self.folder / "parts", {part for said in left for part in said["parts"]})
        peers = {said["peers"] for said in left}
        for file in self.folder.glob("peers-*.parquet"):
            if file.name not in peers:
                file.unlink()
        # The array says again what the parts say, in more room: one matrix has it at a time.
        for file in self.folder.glob("values-*.npy"):
            if file != self._values_file:
                file.unlink()
