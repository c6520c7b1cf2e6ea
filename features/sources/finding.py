"""The files that a territory's path means, on disk and inside zip archives."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from features.errors import DataError
from features.redaction import looks_like_identity
from features.sources.files import Limits, SourceFile

__all__ = ["find_files", "names_a_person"]


def find_files(
    folder: Path, pattern: str, limits: Limits | None = None
) -> tuple[list[SourceFile], list[DataError]]:
    """The files of a path, for an ingest, and what was met that is none.

    A part of the path that ends in `.zip` and is followed by others means an archive:
    `exports-*.zip/*/Client.csv` are the files `Client.csv` one folder down in each of them. `*`
    stands for any characters within one part, `**` for any number of folders.

    An archive whose members cannot be told apart, or whose names lead out of it, is refused whole:
    nothing is ever written under a member's name, but such an archive was not made by an export.

    A file whose path holds something shaped as a person's number or address is left out, since
    reports and the ledger name the files: such files are counted, never named.

    Args:
        folder: The folder of the exports.
        pattern: A path within it.
        limits: What a compressed file may become.

    Returns:
        The files, sorted, and one error for each thing left out; an error, too, when there is
        no file of that name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     with zipfile.ZipFile(folder / "fy2019.zip", "w") as made:
        ...         for member in ("a/Client.csv", "b/Client.csv", "b/Exit.csv"):
        ...             made.writestr(member, "PersonalID")
        ...     files, errors = find_files(folder, "fy*.zip/*/Client.csv")
        ...     [file.relative for file in files], errors
        (['fy2019.zip/a/Client.csv', 'fy2019.zip/b/Client.csv'], [])
    """
    outer, inner = _parted(pattern)
    errors: list[DataError] = []
    found: list[SourceFile] = []
    named = 0
    for path in sorted(folder.glob(outer)):
        said = path.relative_to(folder).as_posix()
        if names_a_person(said):
            named += 1
        elif inner and path.is_dir():
            files, more = find_files(path, inner, limits)
            found += [
                SourceFile.of(f.path, f"{said}/{_outer(f)}", member=f.member, limits=limits)
                for f in files
            ]
            errors += more
        elif not path.is_file():
            errors.append(
                DataError(
                    f"reading '{path.name}'",
                    expected="a file",
                    got="a folder" if path.is_dir() else "a link that leads to none",
                    hint="Replace it by the export itself, or correct 'path'.",
                )
            )
        elif inner:
            try:
                members = _members(path)
            except DataError as error:
                errors.append(error)
                continue
            wanted = inner.split("/")
            taken = [m for m in members if _fits(m.split("/"), wanted)]
            found += [SourceFile.of(path, said, member=m, limits=limits) for m in taken]
        else:
            found.append(SourceFile.of(path, said, limits=limits))
    kept = [file for file in found if not names_a_person(file.relative)]
    named += len(found) - len(kept)
    shown = "a path of the territory" if names_a_person(pattern) else f"'{pattern}'"
    if named:
        errors.append(
            DataError(
                f"reading {shown}: {named} left out",
                expected="names without anything of a person",
                got=f"{named} shaped as a person's number, telephone or address",
                hint="Rename these files and folders: reports and the ledger name them.",
            )
        )
    if not kept and not errors:
        errors.append(
            DataError(
                f"reading {shown}",
                expected=f"a file of that name in '{folder}'",
                got="none",
                hint="Correct 'path', or ask the service for the export.",
            )
        )
    return kept, errors


def names_a_person(path: str) -> bool:
    """Whether a path holds something shaped as a person's number, telephone or address.

    Example:
        >>> names_a_person("2024/rdv-2024-03-31.csv"), names_a_person("rdv-184127645108946.csv")
        (False, True)
    """
    return bool(looks_like_identity(pa.array([path], pa.string())).any())


def _outer(file: SourceFile) -> str:
    """The path within the folder, without the member."""
    return file.relative if file.member is None else file.relative[: -len(file.member) - 1]


def _parted(pattern: str) -> tuple[str, str]:
    parts = pattern.split("/")
    for place, part in enumerate(parts[:-1]):
        if part.lower().endswith(".zip"):
            return "/".join(parts[: place + 1]), "/".join(parts[place + 1 :])
    return pattern, ""


def _fits(names: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return not names
    if wanted[0] == "**":
        return any(_fits(names[skip:], wanted[1:]) for skip in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], wanted[0]) and _fits(names[1:], wanted[1:])


def _members(path: Path) -> list[str]:
    """Names of the files of an archive, sorted.

    Raises:
        DataError: no archive, names that lead out of it or stand twice, members that share bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise _refused(path, "a whole zip archive", type(error).__name__) from None
    # The name as written: what is read is cut at a NUL byte.
    outside = sum(_leads_out(info.orig_filename) for info in infos)
    if outside:
        raise _refused(path, "names that stay inside the archive", f"{outside} that do not")
    doubled = sum(n > 1 for n in Counter(info.filename for info in infos).values())
    if doubled:
        raise _refused(path, "each name once", f"{doubled} that stand more than once")
    placed = sorted((info.header_offset, info.compress_size) for info in infos)
    shared = sum(start + size > following for (start, size), (following, _) in pairwise(placed))
    if shared:
        raise _refused(path, "members that lie one after another", f"{shared} that overlap")
    return sorted(info.filename for info in infos if not info.is_dir())


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or parts[0].endswith(":") or "\x00" in name


def _refused(path: Path, expected: str, got: str) -> DataError:
    return DataError(
        f"reading '{path.name}'",
        expected=expected,
        got=got,
        hint="Ask the service to make the archive again, or unpack it by hand.",
    )
