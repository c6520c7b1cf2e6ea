"""The demo territory's outside world: five services' raw exports, and the truth behind them.

Shares no code with the rest of Jalon. See `docs/demo-territory.md` for the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.run import SimulationError, Summary, simulate

__all__ = ["SimulationError", "Summary", "simulate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from simulator import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
