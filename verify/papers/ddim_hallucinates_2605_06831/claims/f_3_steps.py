r"""More steps help DDIM, but not down to DDPM.

Statement: The share of interpolations under DDIM, mean over the shipped networks, is lower with
    1000 steps than with 50, is not shown to rise at any step between, and at every number of steps
    lies above that of DDPM with all $T$ steps: the gap is not one of skipped steps.
Hypotheses:
    - steps: with the exact score, on the same noise, DDIM with 50 steps makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: the share of interpolations under DDIM with 50, 100, 200, 500 and 1000 quadratic steps,
    mean over the trained networks, each time on samples of its own.
Predicted: each above DDPM's mean share; the first above the last.
Evidence: learned; two independent counts, ordered by Fisher's exact test, which errs with
    probability at most 1e-6. It is over samples for the mean of these networks; the table says how
    far the networks differ. A rise from one number of steps to the next counts against the claim
    where the test shows it. Of neighbours too close to tell apart nothing is claimed: the note
    counts them, and says what rise would have been seen.
Source: arXiv 2605.06831 v1, figure 3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.sides import Part
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.order import compare_fall, compare_independent
from verify.measure.networks.pooled import variation_note
from verify.measure.networks.rate_sweeps import rates_over_steps
from verify.measure.networks.rates import Rates, show_rates, steps_alone

CLAIM = Claim.from_docstring(
    __doc__,
    id="F3",
    short="rate against steps",
    rests_on={"F1": "the gap, at every number of steps"},
    needs=(modes(2),),
    does_not_show=(
        "That the share falls at each step, or on every network. That DDIM's share stays above "
        "DDPM's on a schedule of more steps: the probability flow is the limit of DDIM, which T "
        "steps only come near."
    ),
)


@CLAIM.learned(unit="samples", of=networks)
def fall(
    case: Case,
    models: Sequence[TrainedModel],
    change: Callable[[Rates], Rates] = lambda rates: rates,
) -> Iterator[Part]:
    """The mean share over the number of steps, against DDPM's."""
    measured = rates_over_steps(case)
    rates, names = change(measured), measured.samplers
    *sweep, every = names
    for name in reversed(sweep):
        yield compare_independent(f"{name} above {every}", rates.mean(name), rates.mean(every))
    trend = compare_fall(rates, sweep) if len(sweep) > 1 else None
    yield from trend.comparisons if trend else ()
    shares = {name: rates.each(name) for name in names}
    alone = steps_alone(measured.from_exact().of(0, sweep[0]))
    yield alone
    if alone.held_share:
        yield trend.in_words() if trend else "The schedule has too few steps for a sweep."
        yield variation_note(shares)
    yield from show_rates(case, "Shares over the number of steps", rates, shares)


CLAIM.must_fail(fall, "samplers swapped", change=Rates.swapped)
CLAIM.must_fail(
    fall,
    "step counts in reverse",
    change=lambda rates: rates.reordered([*rates.samplers[-2::-1], rates.samplers[-1]]),
)
