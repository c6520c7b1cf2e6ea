"""How inner loops are compiled: by Numba, without the interpreter lock, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["called", "compiled", "inlined"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function compiled by Numba, kept on disk where some folder can be written."""
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache: neither beside the file nor in the user's own
        return numba.njit(**options)(function)


def called(function: Function) -> Function:
    """The function compiled as a part of those that call it: Python cannot, nor is it kept apart.

    What Python needs to call a function takes as long to compile as many a short function.
    """
    return numba.njit(
        nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)


def inlined(function: Function) -> Function:
    """The function written out where another compiled one calls it: the call costs nothing."""
    return numba.njit(inline="always", nogil=True, error_model="numpy")(function)
