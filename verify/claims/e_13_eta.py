r"""Noise injected into DDIM lowers its interpolation.

Statement: The share of interpolations under DDIM with 50 quadratic steps is lower with the noise
    factor $\eta = 1$ than with $\eta = 0$, on each shipped network and in the mean over them, which
    is not shown to rise at any step of $\eta$ between.
Hypotheses:
    - steps: with the exact score, on the same noise, DDIM with $\eta = 0$ makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: the share of interpolations at $\eta = 0, 0.2, ..., 1$, mean over the trained networks,
    each on samples of its own, and per network at both ends. One value beyond 1, where the noise
    exceeds that of the exact bridge, is in the table.
Predicted: at $\eta = 0$ above that at $\eta = 1$.
Evidence: learned; decided only where the Clopper-Pearson intervals of two shares, each missing
    with probability 1e-6, lie apart. Those of means are over samples for these networks; the table
    says how far the networks differ. A rise from one value to the next counts against the claim
    where its intervals show it. Of neighbours too close to tell apart nothing is claimed: the note
    counts them, and says what rise would have been seen.
Source: arXiv 2605.06831 v1, figure E.13
"""

from __future__ import annotations

from collections.abc import Sequence

from verify.ledger.claim import Basis, Case, Claim, Finding, Table, Verdict
from verify.ledger.relations import Comparison
from verify.measure.networks.models import TrainedModel
from verify.measure.networks.pooled import variation_note, variation_table
from verify.measure.networks.rate_sweeps import allowed_etas, eta_name, eta_rates
from verify.measure.networks.rates import (
    Change,
    Rates,
    compare_fall,
    compare_order,
    judge_changed,
    judge_rates,
    rate_table,
    steps_alone,
    witness_of,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.13",
    basis=(Basis.LEARNED,),
    min_modes=2,
    common_sigma=True,
    does_not_show=(
        "That the share falls at each step of eta, or on another network. That noise is free: it "
        "also decides how wide each mode comes out and how much weight it gets. The spread is in "
        "the table, the weights are not."
    ),
)


def check(case: Case) -> list[Verdict]:
    """The mean share over the noise factor."""
    return judge_rates(CLAIM, case, _judge)


def mutants(case: Case) -> dict[str, Verdict]:
    """Noise factors in reverse; the two ends exchanged on the last network alone."""
    names = _names(case)
    reverse = dict(zip(names, reversed(names), strict=True))
    changes: dict[str, Change] = {
        "noise factors in reverse": lambda rates: rates.reordered(
            [reverse.get(name, name) for name in rates.samplers]
        ),
        "ends exchanged on the last network": lambda rates: rates.exchanged(
            names[0], names[-1], -1
        ),
    }
    return judge_changed(CLAIM, case, _judge, changes)


def _names(case: Case) -> list[str]:
    """The samplers with eta in 0..1, as the tables name them."""
    return [eta_name(eta) for eta in allowed_etas(case.schedule) if eta <= 1.0]


def _judge(case: Case, change: Change, models: Sequence[TrainedModel]) -> Verdict:
    measured = eta_rates(case, models)
    rates, names = change(measured), _names(case)
    hypothesis = steps_alone(measured.from_exact().of(0, names[0]))
    fall, shares = compare_fall(rates, names), {name: rates.each(name) for name in names}
    words = f"{fall.in_words()} {variation_note(shares)} {_beyond(rates, names[-1])}"
    finding = Finding(
        comparisons=[*fall.comparisons, *_ends(rates, names)],
        hypotheses=[hypothesis],
        nonvacuous_share=1.0,
        witness=witness_of(case),
        unit="samples",
        note=words.strip() if hypothesis.held_share else "",
        tables=[
            rate_table("Shares over the noise factor, with 95 % intervals", rates),
            variation_table(shares),
            _spread(case, rates),
        ],
        model=", ".join(rates.models),
    )
    return CLAIM.judge(case, finding)


def _ends(rates: Rates, names: Sequence[str]) -> list[Comparison]:
    """No noise against full noise, network by network."""
    first, last = names[0], names[-1]
    return [
        compare_order(f"{first} above {last}, {model}", rates.of(k, first), rates.of(k, last))
        for k, model in enumerate(rates.models)
    ]


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
