"""Draws from normals that are tilted by tabulated functions, for rare events.

A table holds the logarithm of a positive function psi at increasing places; between two of them
log psi is a line. A normal N(m, std^2) tilted by psi is then drawn from the density whose logarithm
is a line between the same places, and its ratio to the tilted normal itself, which is curved
between them, comes back as a correction: whatever psi is, the weights are exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arithmetic import LOG2E, exp2, larger
from .compiling import cached, on_tile, over_rows

_FAINT = -40.0  # of a place's log weight under the largest: what is less adds nothing to a sum
_SMALL = 1e-3  # of a slope times its interval, below which a series takes the place of a quotient
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@on_tile
def _first_above(places, low, high, value):
    """The first index of places[low:high] whose place is above value."""
    while low < high:
        middle = (low + high) // 2
        if places[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@on_tile
def _mass(width, left, right, difference):
    """Integral of an exponential over an interval, from its values at the ends and the difference
    of their logarithms."""
    small = abs(difference) < _SMALL
    series = width * 0.5 * (left + right) * (1.0 - difference * difference / 12.0)
    quotient = width * (right - left) / (1.0 if small else difference)
    return series if small else quotient


@on_tile
def _within(difference, share):
    """Where in an interval, 0 to 1, an exponential has gathered a share of its mass."""
    if abs(difference) < _SMALL:
        return share - 0.5 * difference * share * (1.0 - share)
    if difference > 0.0:
        return 1.0 + math.log(share + (1.0 - share) * math.exp(-difference)) / difference
    return math.log1p(share * math.expm1(difference)) / difference


@on_tile
def _integrate(places, log_psi, m, std, term, fall, weight, mass):
    """psi times the normal's exponential over all places: the largest log term, and which places
    c to e are not faint. Of those: logs below the largest, their powers, and the integral so far.

    Slices and one loop a thing, so that all loops but the sums are of vector instructions.
    """
    n = len(places)
    for j in range(n):
        z = (places[j] - m) / std
        term[j] = log_psi[j] - 0.5 * z * z
    top = -np.inf
    for j in range(n):
        top = larger(top, term[j])
    # What is faint at either end is passed over.
    c, e = 0, n
    while e - c > 3 and term[c + 1] < top + _FAINT:
        c += 1
    while e - c > 3 and term[e - 2] < top + _FAINT:
        e -= 1
    terms, n = term[c:e], e - c
    for j in range(n):
        fall[j] = larger(terms[j] - top, _FAINT)
        weight[j] = exp2(LOG2E * fall[j])
    here, then, old_fall, new_fall = places[c : e - 1], places[c + 1 : e], fall[:-1], fall[1:]
    left, right = weight[:-1], weight[1:]
    for j in range(n - 1):
        mass[j] = _mass(then[j] - here[j], left[j], right[j], new_fall[j] - old_fall[j])
    total = 0.0
    for j in range(n - 1):
        total += mass[j]
        mass[j] = total
    return top, c, e


@cached
def tilted_rows(begin, end, out, mean, table, first, places, log_psi, std, reach, uniform, normal):
    """Rows begin..end of out (n, 3): place drawn, log psi there, and log of the normaliser with the
    correction; where `uniform` is negative nothing is drawn and there is no correction.

    Row i tilts N(mean_i, std^2) by table k = table_i, places[first_k : first_(k+1)], cut at `reach`
    standard deviations. With fewer than three places in reach it is not tilted: the normal itself.
    """
    longest = 0
    for k in range(first.shape[0] - 1):
        longest = max(longest, first[k + 1] - first[k])
    term, fall = np.empty(longest), np.empty(longest)
    weight, mass = np.empty(longest), np.empty(longest)
    for i in range(begin, end):
        low, high, m = first[table[i]], first[table[i] + 1], mean[i]
        a = _first_above(places, low, high, m - reach * std)
        b = _first_above(places, a, high, m + reach * std)
        if b - a < 3 or m < places[low] or m > places[high - 1]:
            y = m + std * normal[i]
            at = min(max(_first_above(places, low, high, y), low + 1), high - 1)
            part = (y - places[at - 1]) / (places[at] - places[at - 1])
            part = min(max(part, 0.0), 1.0)
            value = log_psi[at - 1] + part * (log_psi[at] - log_psi[at - 1])
            out[i, 0], out[i, 1], out[i, 2] = y, value, value
            continue
        top, c, e = _integrate(places[a:b], log_psi[a:b], m, std, term, fall, weight, mass)
        total = mass[e - c - 2]
        log_total = top + math.log(total / std) - _LOG_ROOT_2PI
        if uniform[i] < 0.0:
            out[i, 0], out[i, 1], out[i, 2] = m, 0.0, log_total
            continue
        wanted = uniform[i] * total
        k, before = 0, 0.0
        while k < e - c - 2 and mass[k] < wanted:
            before = mass[k]
            k += 1
        j, old, new = c + 1 + k, fall[k], fall[k + 1]
        share = min(max((wanted - before) / (mass[k] - before), 0.0), 1.0)
        part = min(max(_within(new - old, share), 0.0), 1.0)
        y = places[a + j - 1] + part * (places[a + j] - places[a + j - 1])
        z = (y - m) / std
        value = log_psi[a + j - 1] + part * (log_psi[a + j] - log_psi[a + j - 1])
        drawn = top + old + part * (new - old)
        out[i, 0], out[i, 1], out[i, 2] = y, value, log_total + value - 0.5 * z * z - drawn


def tilted(
    mean: Any,
    table: Any,
    tables: tuple[Any, Any, Any],
    std: float,
    reach: float,
    uniform: Any = None,
    normal: Any = None,
) -> Any:
    """(n, 3): draws from N(mean, std^2) tilted by tables (first (K + 1,), places and log psi (B,)),
    one of them a row, log psi there, and the log of what they count: E psi, corrected so that
    weights are exact. Without uniforms (n,) the log of E psi alone, in the last column."""
    out, n = np.empty((len(mean), 3)), len(mean)
    if uniform is None:
        uniform, normal = np.full(n, -1.0), np.zeros(n)
    first, places, log_psi = tables
    given = mean, table, first, places, log_psi, float(std), float(reach), uniform, normal
    over_rows(tilted_rows, 300.0, out, *given)
    return out


@cached
def table_rows(begin, end, out, at, table, first, places, log_psi):
    """Rows begin..end of out (n, 1): log psi at places at (n,), constant beyond the ends."""
    for i in range(begin, end):
        low, high = first[table[i]], first[table[i] + 1]
        j = min(max(_first_above(places, low, high, at[i]), low + 1), high - 1)
        part = (at[i] - places[j - 1]) / (places[j] - places[j - 1])
        part = min(max(part, 0.0), 1.0)
        out[i, 0] = log_psi[j - 1] + part * (log_psi[j] - log_psi[j - 1])


def tabulated(at: Any, table: Any, tables: tuple[Any, Any, Any]) -> Any:
    """(n,) log psi at places (n,), each of its own table."""
    out = np.empty((len(at), 1))
    over_rows(table_rows, 10.0, out, at, table, *tables)
    return out[:, 0]
