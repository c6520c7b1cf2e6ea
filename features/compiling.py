"""How inner loops are compiled: by Numba, without the interpreter lock, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["compiled", "inlined"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function compiled by Numba, kept on disk where some folder can be written."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache: neither beside the file nor in the user's own
        return numba.njit(**options)(function)


def inlined(function: Function) -> Function:
    """The function written out where another compiled one calls it: the call costs nothing."""
    return numba.njit(inline="always", nogil=True, error_model="numpy")(function)
