"""Timelines brought to what the vault says: rows given to the present owners of identifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.identity.audit import note

if TYPE_CHECKING:
    from features.identity.vault import Vault
    from features.timelines import Timelines

__all__ = ["settle"]


def settle(vault: Vault, timelines: Timelines) -> int:
    """Reissue the rows whose identifiers changed hands since timelines were last told.

    The vault keeps what is left to do until timelines have it, so that an interruption costs
    nothing but this to be called again. Every ingest calls it, and every act of `jalon identity`.

    Args:
        vault: Says who owns which identifier.
        timelines: Brought to it, in one commit.

    Returns:
        Rows that changed hands.
    """
    owners = vault.owners()
    if not owners:
        return 0
    rows = timelines.reissue(owners)
    vault.settled(owners)
    note(vault, "reissue", identifiers=len(owners), rows=rows)
    return rows
