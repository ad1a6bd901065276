r"""More steps help DDIM, but not down to DDPM.

Statement: The share of interpolations under DDIM, mean over the shipped networks, is lower with
    1000 steps than with 50, is not shown to rise at any step between, and at every number of steps
    lies above that of DDPM with all $T$ steps: the gap is not one of skipped steps.
Hypotheses:
    - steps: with the exact score, on the same noise, DDIM with 50 steps makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: the share of interpolations under DDIM with 50, 100, 200, 500 and 1000 quadratic steps,
    mean over the trained networks, each on samples of its own.
Predicted: each above DDPM's mean share; the first above the last.
Evidence: learned; decided only where the Clopper-Pearson intervals of two mean shares, each missing
    with probability 1e-6, lie apart. These are intervals over samples for the mean of these
    networks; the table says how far the networks differ. A rise from one number of steps to the
    next counts against the claim where its intervals show it. Of neighbours too close to tell
    apart nothing is claimed: the note counts them, and says what rise would have been seen.
Source: arXiv 2605.06831 v1, figure 3
"""

from __future__ import annotations

from collections.abc import Sequence

from verify.ledger.claim import Basis, Case, Claim, Finding, Verdict
from verify.ledger.needs import modes
from verify.measure.networks.models import TrainedModel
from verify.measure.networks.pooled import Shares, variation_note, variation_table
from verify.measure.networks.rate_sweeps import rates_over_steps
from verify.measure.networks.rates import (
    Change,
    Trend,
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
    id="F3",
    short="rate against steps",
    rests_on={"F1": "the gap, at every number of steps"},
    needs=(modes(2),),
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That the share falls at each step, or on every network. That DDIM's share stays above "
        "DDPM's on a schedule of more steps: the probability flow is the limit of DDIM, which T "
        "steps only come near."
    ),
)


def check(case: Case) -> list[Verdict]:
    """The mean share over the number of steps, against DDPM's."""
    return judge_rates(CLAIM, case, _judge)


def mutants(case: Case) -> dict[str, Verdict]:
    """DDPM in DDIM's place, and step counts in reverse."""
    changes: dict[str, Change] = {
        "samplers swapped": lambda rates: rates.reordered(
            [rates.samplers[-1], *rates.samplers[1:-1], rates.samplers[0]]
        ),
        "step counts in reverse": lambda rates: rates.reordered(
            [*rates.samplers[-2::-1], rates.samplers[-1]]
        ),
    }
    return judge_changed(CLAIM, case, _judge, changes)


def _judge(case: Case, change: Change, models: Sequence[TrainedModel]) -> Verdict:
    measured = rates_over_steps(case)
    rates, names = change(measured), measured.samplers
    *sweep, every = names

    above = [
        compare_order(f"{name} above {every}", rates.mean(name), rates.mean(every))
        for name in reversed(sweep)
    ]
    fall = compare_fall(rates, sweep) if len(sweep) > 1 else None
    shares = {name: rates.each(name) for name in names}
    hypothesis = steps_alone(measured.from_exact().of(0, sweep[0]))
    finding = Finding(
        comparisons=above + (fall.comparisons if fall else []),
        hypotheses=[hypothesis],
        nonvacuous_share=1.0,
        witness=witness_of(case),
        unit="samples",
        note=_note(fall, shares) if hypothesis.held_share else "",
        tables=[
            rate_table("Shares over the number of steps, with 95 % intervals", rates),
            variation_table(shares),
        ],
        model=", ".join(rates.models),
    )
    return CLAIM.judge(case, finding)


def _note(fall: Trend | None, shares: Shares) -> str:
    """Where along the sweep the fall is seen, and what the mean over these networks is worth."""
    words = "The schedule has too few steps for a sweep." if fall is None else fall.in_words()
    return f"{words} {variation_note(shares)}"
