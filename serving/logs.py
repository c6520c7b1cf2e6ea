"""Logs that hold no one's values: our lines by design, unexpected errors by their place only."""

from __future__ import annotations

import logging
import traceback

__all__ = ["PlaceOnly", "quieten"]


class PlaceOnly(logging.Filter):
    """Rewrites a logged exception to its type and the places it went through.

    The message of an unexpected exception may quote what it stumbled over, which may be a
    person's; its place is enough to find the fault.

    Example:
        >>> import sys
        >>> try:
        ...     int("Anna")
        ... except ValueError:
        ...     record = logging.LogRecord("x", 40, "f", 1, "failed", (), sys.exc_info())
        >>> _ = PlaceOnly().filter(record)
        >>> "Anna" in record.getMessage(), record.getMessage().splitlines()[-1]
        (False, 'ValueError')
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without what its exception says."""
        if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
            kind, _, places = record.exc_info
            lines = [
                f"  {frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(places)
            ]
            record.msg = "\n".join([record.getMessage(), *lines, kind.__name__])
            record.args = ()
            record.exc_info = None
            record.exc_text = None
        return True


def quieten() -> None:
    """Put the filter on every handler that is installed, and let our own lines through."""
    quiet = PlaceOnly()
    names = ["", *logging.root.manager.loggerDict]
    for handler in {h for name in names for h in logging.getLogger(name).handlers}:
        handler.addFilter(quiet)
    logging.getLogger("serving").setLevel(logging.INFO)
