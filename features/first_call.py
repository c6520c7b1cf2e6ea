"""The first computation on a machine: the longest kernel is compiled in a process of its own.

Compiling holds the interpreter's lock, so a second thread gains nothing and a second process halves
the wait: it compiles :func:`features.kernels.fill` and leaves it on disk, while this one reads the
events and compiles the rest. Whatever becomes of it, `settle` goes on: what is not on disk is
compiled here. Nothing is started where a mark in the folder of the cache says that this very kernel
is kept, or where there is no such folder. Processes that begin at once each do the work; Numba puts
whole files in place, so that none reads half of another's.

`python -m features.first_call` compiles and keeps the kernel, as in the making of an image.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import llvmlite.binding  # type: ignore[import-untyped]
import numba
import numpy as np

from features import kernels
from features.arrays import Events, Plan, Rows

__all__ = ["begin", "keep", "mark", "settle"]

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds after which another process that has not compiled is given up."""
_lock = threading.Lock()
_begun: subprocess.Popen[bytes] | None = None
_asked = False


def begin() -> None:
    """Start compiling in another process where the kernel is not on disk; once for a process."""
    global _begun, _asked
    with _lock:
        if _asked:
            return
        _asked = True
        kept = mark()
        if kept is None or kept.exists() or not sys.executable or hasattr(sys, "frozen"):
            return
        # The same modules and the same folder for the cache, wherever they were found.
        found = {"PYTHONPATH": os.pathsep.join(place or os.getcwd() for place in sys.path)}
        if numba.config.CACHE_DIR:
            found["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR
        try:
            _begun = subprocess.Popen(
                [sys.executable, "-P", "-m", "features.first_call"],
                env=os.environ | found,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as problem:
            log.warning("no second process to compile in (errno %s): compiling here", problem.errno)
            return
        atexit.register(_end, _begun)


def settle() -> None:
    """Wait for what `begin` started; at once where nothing is under way."""
    if _begun is not None:
        _wait()


def keep() -> None:
    """Compile the kernel for the arrays that the engine gives it, keep it on disk and mark that.

    Example:
        >>> keep()
        >>> len(kernels.fill.signatures)
        1
    """
    longs, ints = np.zeros(0, np.int64), np.zeros(0, np.int32)
    floats, flags = np.zeros(0, np.float32), np.zeros(0, np.bool_)
    table, out = np.zeros((0, 1), np.int64), np.zeros((0, 0), np.float32)
    events = Events(
        longs, longs, longs, longs, longs, longs, ints, ints, floats, ints, ints, ints, ints, ints
    )  # fmt: skip
    plan = Plan(
        ints, ints, flags, ints, ints, ints, ints, ints, ints, ints, ints, ints, ints, ints, ints,
        floats, flags, 0, 0,
    )  # fmt: skip
    rows = Rows(longs, longs, longs, longs, ints, ints, ints, table, table)
    kernels.fill(events, plan, rows, 0, ints, 0, 0, 0, out)
    kept = mark()
    if kept is not None:
        kept.touch()


def mark() -> Path | None:
    """The file whose being there says that the kernel is kept; None where nothing is kept."""
    stats = getattr(kernels.fill, "stats", None)  # none where Numba is told to compile nothing
    folder = cast(Any, stats).cache_path if stats is not None else None
    if folder is None:
        return None
    words = [numba.__version__, platform.python_version(), llvmlite.binding.get_host_cpu_name()]
    digest = hashlib.sha256("\0".join(words).encode())
    digest.update(Path(kernels.__file__).read_bytes())
    return Path(folder) / f"kernels.{digest.hexdigest()[:16]}.kept"


def _wait() -> None:
    global _begun
    with _lock:
        if _begun is None:  # another thread waited for it meanwhile
            return
        try:
            code = _begun.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            _end(_begun)
            code = _begun.returncode
        if code != 0:
            log.warning(
                "the process that compiled the kernels ended with code %d: compiling here. "
                "Hint: `python -m features.first_call` shows why.",
                code,
            )
        atexit.unregister(_end)
        _begun = None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


if __name__ == "__main__":
    keep()
