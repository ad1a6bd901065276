"""The drift of trained scores along the segments between modes, and where it vanishes.

The part of dy/du along a segment, over its length l, per unit of intrinsic time, at late times; and
the learned saddles, by a root search on the whole field (arXiv 2605.06831 v1, Appendix C.4).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.ledger.claim import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import require_window
from verify.measure.networks.field import PLACES, find_segments, segment_errors
from verify.measure.networks.models import require_models
from verify.measure.saddles.learned import learned_saddles

PANELS = 4


@Measurement
def learned_drift(case: Case) -> dict[str, Any]:
    """n segments; models (A,); z (G,) over l; times (K,) raw; learned (A, K, P, G), exact
    (K, P, G): drift along the segment; saddles (A, K, P): z of the learned ones, NaN without.
    stable (A,): how many of them attract, of all `found` at all late nodes."""
    require_window(case)
    models = require_models(case)
    errors = [segment_errors(case, model) for model in models]
    saddles = [learned_saddles(case, model) for model in models]
    late = errors[0].times
    at = np.unique(np.linspace(0, late.size - 1, PANELS).round().astype(int))
    return {
        "n": len(find_segments(case).modes),
        "models": [model.label for model in models],
        "z": PLACES,
        "times": late[at],
        "learned": [e.learned[at] for e in errors],
        "exact": errors[0].exact[at],
        "saddles": [s.z[at] for s in saddles],
        "stable": [(s.unstable == 0).sum() for s in saddles],
        "found": sum(int(s.found.sum()) for s in saddles),
    }
