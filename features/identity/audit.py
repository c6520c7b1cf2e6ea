"""The trace of what was done to identities: acts and numbers, never a person."""

from __future__ import annotations

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.identity.vault import Vault

__all__ = ["AUDIT", "note"]

AUDIT = "audit.jsonl"


def note(vault: Vault | Path, act: str, **said: str | int) -> None:
    """Add a line to ``identity/audit.jsonl``: when, which account, what, and counts or numbers.

    Args:
        vault: Whose folder the trace lies in, or the folder.
        act: What was done.
        said: Numbers of acts, counts, reasons of a list; never a value of a person.
    """
    folder = vault if isinstance(vault, Path) else vault.folder
    if not isinstance(vault, Path) and vault.file.name == ":memory:":
        return
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": _account(), "act": act}
    file = folder / AUDIT
    handle = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line | said) + "\n")


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
