r"""More steps help DDIM, but not down to DDPM.

Statement: With a learned score the share of interpolations under DDIM falls as its number of steps
    grows from 50 to 1000, and at every number of steps stays above that of DDPM with all $T$ steps:
    the gap is not one of skipped steps.
Hypotheses:
    - steps: with the exact score, on the same noise, DDIM with 50 steps makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: the share of interpolations under DDIM with 50, 100, 200, 500 and 1000 quadratic steps,
    mean over the trained networks, each on samples of its own.
Predicted: each above DDPM's mean share; the first above the last, and none above the one before.
Evidence: learned; decided only where the Clopper-Pearson intervals of two mean shares, each missing
    with probability 1e-6, lie apart. A rise from one number of steps to the next counts against the
    claim where its intervals show it; neighbours too close to tell apart count neither way.
Source: arXiv 2605.06831 v1, figure 3
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from verify.claim import Basis, Case, Claim, Finding, Verdict
from verify.relations import Outcome
from verify.trained.models import TrainedModel
from verify.trained.rate_sweeps import step_rates
from verify.trained.rates import (
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
    id="F3",
    basis=(Basis.LEARNED,),
    min_modes=2,
    does_not_show=(
        "That DDIM's share stays above DDPM's on a schedule of more steps: the probability flow "
        "is the limit of DDIM, which T steps only come near."
    ),
)


def check(case: Case) -> list[Verdict]:
    """The mean share over the number of steps, against DDPM's."""
    return judge_rates(CLAIM, case, _judge)


def mutants(case: Case) -> dict[str, Verdict]:
    """DDPM in DDIM's place, step counts in reverse, and the exact score's counts."""
    changes: dict[str, Change] = {
        "samplers swapped": lambda rates: rates.reordered(
            [rates.samplers[-1], *rates.samplers[1:-1], rates.samplers[0]]
        ),
        "step counts in reverse": lambda rates: rates.reordered(
            [*rates.samplers[-2::-1], rates.samplers[-1]]
        ),
        "exact score in place of the learned one": Rates.in_place_of_models,
    }
    return judge_changed(CLAIM, case, _judge, changes)


def _judge(case: Case, change: Change, models: Sequence[TrainedModel]) -> Verdict:
    measured = step_rates(case, models)
    rates, names = change(measured), measured.samplers
    *sweep, every = names

    above = [
        compare_order(f"{name} above {every}", rates.mean(name), rates.mean(every))
        for name in reversed(sweep)
    ]
    fall = compare_fall(rates, sweep, "more steps") if len(sweep) > 1 else []
    hypothesis = steps_alone(measured.from_exact().of(0, sweep[0]))
    finding = Finding(
        comparisons=above + fall,
        hypotheses=[hypothesis],
        nonvacuous_share=1.0,
        witness=witness_of(case),
        unit="samples",
        note=_note(rates, sweep) if hypothesis.held_share else "",
        tables=[rate_table("Shares over the number of steps, with 95 % intervals", rates)],
        model=", ".join(rates.models),
    )
    return CLAIM.judge(case, finding)


def _note(rates: Rates, sweep: Sequence[str]) -> str:
    """Where along the sweep the fall is seen."""
    if len(sweep) < 2:
        return "The schedule has too few steps for a sweep."
    steps = [
        f"{here} to {there}"
        for here, there in itertools.pairwise(sweep)
        if compare_order("", rates.mean(here), rates.mean(there)).outcome is Outcome.HOLDS
    ]
    if not steps:
        return "No two neighbours of the sweep can be told apart."
    return f"Of neighbours these fall beyond doubt: {', '.join(steps)}."
