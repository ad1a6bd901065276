r"""Noise injected into DDIM lowers its interpolation.

Statement: The share of interpolations under DDIM with 50 quadratic steps is lower with the noise
    factor $\eta = 1$ than with $\eta = 0$, on each shipped network and in the mean over them, which
    is not shown to rise at any step of $\eta$ between.
Hypotheses:
    - steps: with the exact score, on the same noise, DDIM with $\eta = 0$ makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: the share of interpolations at $\eta = 0, 0.2, ..., 1$, mean over the trained networks,
    each time on samples of its own, and per network at both ends. One value beyond 1, where the
    noise exceeds that of the exact bridge, is in the table.
Predicted: at $\eta = 0$ above that at $\eta = 1$.
Evidence: learned; two independent counts, ordered by Fisher's exact test, which errs with
    probability at most 1e-6. Of means it is over samples for these networks; the table says how far
    the networks differ. A rise from one value to the next counts against the claim where the test
    shows it. Of neighbours too close to tell apart nothing is claimed: the note counts them, and
    says what rise would have been seen.
Source: arXiv 2605.06831 v1, figure E.13
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part
from verify.ledger.verdict import Table
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.order import compare_fall, compare_independent
from verify.measure.networks.pooled import variation_note
from verify.measure.networks.rate_sweeps import allowed_etas, eta_name, rates_over_eta
from verify.measure.networks.rates import Rates, show_rates, steps_alone

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.13",
    short="rate against eta",
    rests_on={"F1": "its two ends"},
    needs=(
        modes(2),
        one_sigma.because("eta is compared at one width"),
    ),
    does_not_show=(
        "That the share falls at each step of eta, or on another network. That noise is free: it "
        "also decides how wide each mode comes out and how much weight it gets. The spread is in "
        "the table, the weights are not."
    ),
)

Names = Sequence[str]


@CLAIM.learned(unit="samples", of=networks)
def fall(
    case: Case,
    models: Sequence[TrainedModel],
    change: Callable[[Rates, Names], Rates] = lambda rates, names: rates,
) -> Iterator[Part]:
    """The mean share over the noise factor, and each network's at no noise against full noise."""
    measured = rates_over_eta(case)
    names = [eta_name(eta) for eta in allowed_etas(case.schedule) if eta <= 1.0]
    rates = change(measured, names)
    trend, shares = compare_fall(rates, names), {name: rates.each(name) for name in names}
    yield from trend.comparisons
    for k, model in enumerate(rates.models):
        first, last = (rates.of(k, name) for name in (names[0], names[-1]))
        yield compare_independent(f"{names[0]} above {names[-1]}, {model}", first, last)
    alone = steps_alone(measured.from_exact().of(0, names[0]))
    yield alone
    if alone.held_share:
        yield from (trend.in_words(), variation_note(shares), _beyond(rates, names[-1]))
    yield from show_rates(case, "Shares over the noise factor", rates, shares)
    yield lambda: _spread(case, rates)


def _beyond(rates: Rates, last: str) -> str:
    """What more noise than the bridge's does, where it was measured."""
    beyond = rates.samplers[-1]
    if beyond == last:
        return ""
    more, full = ((rates.mean(name), rates.mean(name).interval()) for name in (beyond, last))
    texts = [f"{p.rate:.2g} ({low:.2g} to {high:.2g})" for p, (low, high) in (more, full)]
    return f"Beyond the bridge's noise, at {beyond}, the share is {texts[0]}; at {last} {texts[1]}."


def _spread(case: Case, rates: Rates) -> Table:
    """Standard deviation within the true modes in units of sigma, per model and sampler."""
    sigma = float(case.mixture.sigma)
    exact = rates.from_exact()
    every = [*zip(rates.models, rates.spread, strict=True), ("exact score", exact.spread[0])]
    rows: list[list[str | float]] = [[name, *(row / sigma).tolist()] for name, row in every]
    caption = "Standard deviation within the modes over sigma (1 would be the data's)"
    return Table(caption, ("model", *rates.samplers), rows)


CLAIM.must_fail(
    fall,
    "noise factors in reverse",
    change=lambda rates, names: rates.reordered([*names[::-1], *rates.samplers[len(names) :]]),
)
CLAIM.must_fail(
    fall,
    "ends exchanged on the last network",
    change=lambda rates, names: rates.exchanged(names[0], names[-1], -1),
)
