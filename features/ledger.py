"""What was read already: one entry for each file and mapping, written after its rows are in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from features.errors import DataError
from features.jobs import Job
from features.settings import FeaturesSettings
from features.sources import readable

__all__ = ["Ledger", "read_again", "write_json", "write_text"]

RULES = 4
"""Of what a report may show of a file; a higher number has every file read again."""

_AGAIN = "read_again"


class Ledger:
    """The entries of a territory.

    An entry's name is a keyed hash of all that must be unchanged for its file to be skipped: the
    content, the mapping, the observed period, the timelines it went to and the key that its
    persons were given pseudonyms with. An entry is written whole or not at all, and only once what
    it tells of is committed: a run that is killed in between reads the file again, which adds
    nothing twice.

    Args:
        folder: Where entries lie.
        secret: Of the vault.
        table_id: Of the timelines.
        settings: The observed period and its time zone.
    """

    def __init__(
        self, folder: Path, secret: bytes, table_id: str, settings: FeaturesSettings
    ) -> None:
        self._folder = folder
        self._secret = secret
        self._scope = [
            RULES,
            table_id,
            settings.timezone,
            settings.observation.model_dump_json(),
        ]

    def key(self, job: Job) -> str:
        """The name of a job's entry: 64 hexadecimal digits.

        Raises:
            DataError: a file that cannot be read to its end.
        """
        digest = hashlib.sha256(self._secret)
        scope = [
            *self._scope,
            job.name,
            job.file.relative,
            job.source.model_dump_json(exclude={"tables", "persons", "heartbeat"}),
            job.table.model_dump_json(),
        ]
        digest.update(json.dumps(scope).encode())
        with readable(job.file, job.kind):
            job.file.digest(digest)
        return digest.hexdigest()

    def entry(self, key: str) -> dict[str, Any] | None:
        """What was kept under a name, or None: also where it is to be read again.

        Raises:
            DataError: an entry that is not as it was written.
        """
        file = self._folder / f"{key}.json"
        try:
            text = file.read_text("utf-8")
        except FileNotFoundError:
            return None
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            raise DataError(
                f"reading the ledger entry '{file.name}'",
                expected="what an ingest wrote",
                got="other content",
                hint="Delete that file: what it tells of is then read again.",
            ) from None
        return None if found.get(_AGAIN) else found

    def met(self, key: str) -> None:
        """Note that an entry's file is among the exports as it was read."""
        os.utime(self._folder / f"{key}.json")

    def keep(self, key: str, content: dict[str, Any]) -> None:
        """Write an entry."""
        write_json(self._folder / f"{key}.json", content)


def read_again(folder: Path, sources: Collection[str]) -> int:
    """Have the next ingest read what sources sent from its first row, as if it never had.

    Entries stay, for the report of files that are no longer among the exports.

    Args:
        folder: Where entries lie; there may be none.
        sources: Names of sources.

    Returns:
        Entries of files that are to be read again.
    """
    marked = 0
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text("utf-8"))
        if content["figures"]["source"] in sources:
            marked += 1
            # The report tells the order of entries by these instants.
            read = file.stat()
            write_json(file, {**content, _AGAIN: True})
            os.utime(file, ns=(read.st_atime_ns, read.st_mtime_ns))
    return marked


def write_json(file: Path, content: object) -> None:
    """Write a JSON file whole or not at all."""
    write_text(file, json.dumps(content, ensure_ascii=False, indent=2, default=str))


def write_text(file: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
