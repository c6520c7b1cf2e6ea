"""Seeded chance inside the compiled loops: one 64-bit counter per person and per run.

NumPy's generator inside numba is one per thread, so its draws depend on which thread meets which
person. Here each person carries a counter of his own (splitmix64), so a set is the same whatever
the number of threads.

Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@njit(nogil=True)
def mix(z: np.uint64) -> np.uint64:
    """Scramble 64 bits (uint64 in, uint64 out)."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit(nogil=True)
def sow(seed: int, stream: int, person: int, run: int) -> np.uint64:
    """A counter's first value for one person and one run, all non-negative integers."""
    z = mix(np.uint64(seed) + _GAMMA)
    z = mix(z ^ (np.uint64(stream) * _GAMMA))
    z = mix(z ^ (np.uint64(person) * _MIX_1))
    return mix(z ^ (np.uint64(run) * _MIX_2))


@njit(nogil=True)
def uniform(r: np.ndarray) -> float:
    """One draw in [0, 1); `r` is the counter, uint64[1], moved on."""
    r[0] = r[0] + _GAMMA
    return float(mix(r[0]) >> _S11) * (1.0 / 9007199254740992.0)


@njit(nogil=True)
def whole(r: np.ndarray, low: int, high: int) -> int:
    """One whole number in [low, high)."""
    return low + int(uniform(r) * (high - low))


@njit(nogil=True)
def normal(r: np.ndarray) -> float:
    """One standard normal draw (Box and Muller)."""
    u = uniform(r)
    if u < 1e-300:
        u = 1e-300
    return math.sqrt(-2.0 * math.log(u)) * math.cos(6.283185307179586 * uniform(r))


@njit(nogil=True)
def around(r: np.ndarray, median: float, spread: float) -> int:
    """Whole days from a log-normal of this median and log standard deviation, at least 1."""
    days = int(median * math.exp(spread * normal(r)) + 0.5)
    if days < 1:
        return 1
    return days


@njit(nogil=True)
def memoryless(r: np.ndarray, mean: float) -> int:
    """Whole days from an exponential of this mean, at least 1."""
    return 1 + int(-mean * math.log(1.0 - uniform(r)))
