"""`assert_sampler`: the check of a sampler in the tests of the library that it is from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .affine.gaussian import convergence
from .affine.impulses import transcribe
from .affine.plan import Plan
from .support.checks import check_nonnegative, check_positive

_SHORT = 0.25  # by how much the order found at finitely many steps may miss the order claimed


def assert_sampler(
    sampler: Any,
    steps: int = 50,
    *,
    gain_atol: float,
    order: float | None = None,
    stds: ArrayLike = (0.2, 1.0),
    mean: float = 0.7,
    **settings: Any,
) -> Plan:
    """Fail unless the sampler returns Gaussian data as they are, with their exact prediction.

    sampler, steps, settings : as `mixdyn.transcribe` takes them. gain_atol : how far the end's
    standard deviation may be off the data's, and its mean off `mean`, both over the data's
    standard deviations `stds` (k,) > 0. order : also that the error, less what stays as steps
    grow, falls as evaluations^-order at least (less 0.25) at steps, twice and four times as many.
    No random number is drawn: the figures are exact. The plan is returned for more.

    Raises AssertionError with the worst figure; NotAffineError for a sampler that has no plan.
    """
    check_nonnegative(gain_atol, "gain_atol")
    data = np.atleast_1d(np.asarray(stds, dtype=np.float64))
    plan = transcribe(sampler, steps, **settings)
    mean_error, gain = plan.response(data, mean)
    off = np.maximum(np.abs(gain - 1.0), np.abs(mean_error) / data)
    k = int(np.argmax(off))
    if not off[k] <= gain_atol:
        raise AssertionError(
            f"{plan!r} returns N({mean:g}, {data[k]:g}^2) with {gain[k]:.6g} of its standard "
            f"deviation and a mean {mean_error[k]:+.3g} off: {off[k]:.3g} > gain_atol {gain_atol:g}"
        )
    if order is not None:
        check_positive(order, "order")
        finer = [transcribe(sampler, factor * steps, **settings) for factor in (2, 4)]
        found = convergence([plan, *finer], data)
        slope = float(np.where(np.isnan(found.order), found.slope[-1], found.order).min())
        if not slope >= order - _SHORT:
            raise AssertionError(
                f"what more steps change in {plan!r} falls as evaluations^-{slope:.3g} at "
                f"{steps} to {4 * steps} steps: below the order {order:g}"
            )
    return plan
