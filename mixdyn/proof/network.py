"""What a residual MLP of real numbers does to boxes: centred forms through all of its layers.

The network that is enclosed is the mathematical one. Its weights (float32), the table of its time
features, the constants of norm and activation (the doubles 1e-5 and 0.01) and the coefficients of a
sampler count as exact; sums, products, roots are those of real numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .forms import (
    Ball,
    Map,
    U,
    add,
    as_form,
    exact,
    leaky,
    plus,
    scaled,
    spread_of,
    standardise,
)

NORM_EPS, SLOPE = 1e-5, 0.01
_BOXES = 128  # at a time: their forms stay in the second-level cache


class EnclosedNetwork:
    """The noise that a residual MLP predicts, as a centred form.

    Parameters
    ----------
    tensors : its weights and biases by name; see `mixdyn.score.residual.ResidualNetwork`.
    features : (T + 1, m), of the times.
    """

    def __init__(
        self, tensors: Mapping[str, np.ndarray[Any, Any]], features: np.ndarray[Any, Any]
    ) -> None:
        self._tensors = {key: value.astype(np.float64) for key, value in tensors.items()}
        self._features = features.astype(np.float64)
        self._enter, self._leave = self._map("enter"), self._map("leave")
        count = sum(key.startswith("blocks.") and key.endswith("norm.bias") for key in tensors)
        self._time = self._map("time_first"), self._map("time_second")
        self._second = [self._map(f"blocks.{k}.second") for k in range(count)]
        self._first = [self._map(f"blocks.{k}.first") for k in range(count)]
        self._scaled = [
            Map(first.matrix, first.bias, self._tensors[f"blocks.{k}.norm.weight"])
            for k, first in enumerate(self._first)
        ]
        self._at = functools.lru_cache(64)(self._first_maps)

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return len(self._leave.matrix)

    def _map(self, name: str) -> Map:
        held = self._tensors
        return Map(held[f"{name}.weight"], held[f"{name}.bias"])

    def _first_maps(self, t: int) -> list[Map]:
        """The first maps of the blocks at time t, its embedding and the norms' shifts in their
        biases."""
        features = as_form(exact(self._features[t][None, :, None]))
        embedded = leaky(self._time[0](features).form, SLOPE)[0].form
        embedded = self._time[1](embedded).form
        found = []
        for k, (first, scaled_first) in enumerate(zip(self._first, self._scaled, strict=True)):
            shift = self._tensors[f"blocks.{k}.norm.bias"]
            moved = add(embedded.of(slice(None)), exact(shift[None, :, None]))
            bias = first(as_form(moved)).form.of((0, slice(None), 0))
            found.append(scaled_first.biased(bias))
        return found

    def eps(self, form: Ball, t: int) -> Ball:
        """The prediction (1 + s, d, B) at a form (1 + s, d, B) of s symbols and a time t."""
        begins = range(0, form.mid.shape[2], _BOXES)
        with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN prove nothing
            parts = [self._eps(form.of(np.s_[:, :, k : k + _BOXES]), t) for k in begins]
        return Ball(*(np.concatenate(each, axis=2) for each in zip(*parts, strict=True)))

    def _eps(self, box: Ball, t: int) -> Ball:
        """Forwards with radii of everything; backwards with what each map added alone."""
        (h, fresh), blocks = self._enter(as_form(box)), []
        for first, second in zip(self._at(t), self._second, strict=True):
            normed, norm_turn = standardise(h, NORM_EPS)
            inner = first(normed.form)
            active, turn = leaky(inner.form, SLOPE)
            outer = second(active.form)
            # A slope of at most 1 lets the rounding of `first` count behind the activation.
            added = fresh, normed.fresh, active.fresh + inner.fresh
            blocks.append((added, (norm_turn, first, turn, second)))
            h, rounded = plus(h, outer.form)
            fresh = outer.fresh + rounded
        normed, norm_turn = standardise(h, NORM_EPS)
        last, scale = scaled(normed.form, self._tensors["norm.weight"], self._tensors["norm.bias"])
        active, turn = leaky(last.form, SLOPE)
        out = self._leave(active.form)
        shape = self.d, *h.mid.shape[1:]
        rows = exact(np.broadcast_to(self._leave.matrix[:, :, None], shape))
        rad = out.fresh + spread_of(rows, active.fresh + last.fresh)
        rows = scale.back(turn.back(rows))
        rad += spread_of(rows, normed.fresh)
        rows = norm_turn.back(rows)
        rad += spread_of(rows, fresh)
        for (fresh, normed_fresh, active_fresh), (norm_turn, first, turn, second) in blocks[::-1]:
            side = second.back(rows)
            rad += spread_of(side, active_fresh)
            side = first.back(turn.back(side))
            rad += spread_of(side, normed_fresh)
            rows = add(rows, norm_turn.back(side))
            rad += spread_of(rows, fresh)
        rad += spread_of(self._enter.back(rows), box.rad)
        return Ball(out.form.mid, np.minimum(rad * (1.0 + 64.0 * U), out.form.rad))
