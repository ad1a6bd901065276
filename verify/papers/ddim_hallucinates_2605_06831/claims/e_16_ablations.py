r"""The gap between DDIM and DDPM under other schedules, widths and distances.

Statement: On the 5 x 5 grid with $T$ = 500, 1000, 2000, 3000, raw $\sigma$ = 0.01, 0.02, 0.05, 0.1
    and raw spacing 1, 1.5, 2, 3, one changed at a time and a network trained on each, DDIM with 50
    quadratic steps interpolates more than DDPM with all $T$ steps.
Hypotheses:
    - trained: a network trained on the changed setting is shipped; all are of one recipe. The
      settings without one are listed.
    - steps: with the exact score, on the same noise, DDIM with 50 steps makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: per setting, the share of interpolations under DDIM.
Predicted: above that under DDPM. What each axis does to both shares is in a table of its own: the
    statement does not need it.
Evidence: learned; two independent counts, ordered by Fisher's exact test, which errs with
    probability at most 1e-6. DDPM draws as many samples as decide if none interpolates, and is
    judged at an error of 9e-7; where that leaves the order open once more at 1e-7, with as many as
    show with probability 0.9 that a share thirty times smaller than DDIM's, as that was counted,
    is below it.
Source: arXiv 2605.06831 v1, figure E.16
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mixdyn.support.statistics import DISPLAY_MISS
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.relations import Outcome
from verify.ledger.sides import Facts, NotApplicable, Part
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.networks.ablated import (
    AXES,
    BASE,
    SAMPLERS,
    Setting,
    ablated_rates,
    compare,
    every_setting,
    settings_along,
)
from verify.measure.networks.order import compare_order
from verify.measure.networks.rates import COLUMNS, STEPS_ALONE, Cell, Rates, rate_rows

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.16",
    short="ablations",
    rests_on={"F1": "the gap, on other problems"},
    does_not_show=(
        "How much of a difference between two settings is the training seed's: there is one "
        "network for each."
    ),
)


def measured(case: Case) -> Mapping[Setting, Rates] | NotApplicable | None:
    """Rates by setting, on the standard problem alone."""
    if case.random:
        return None
    problem = case.mixture.digest, case.schedule.digest, case.model
    if problem != (BASE.mixture.digest, BASE.schedule.digest, None):
        return NotApplicable(
            "The settings are those of the standard problem under the shipped networks."
        )
    return ablated_rates(case) or NotApplicable(
        "No network trained on a changed setting is shipped."
    )


@CLAIM.learned(unit="samples", of=measured)
def gap(
    case: Case,
    counted: Mapping[Setting, Rates],
    change: Callable[[Rates], Rates] = lambda rates: rates,
) -> Iterator[Part]:
    """DDIM against DDPM on every setting that has a network."""
    rates = {setting: change(found) for setting, found in counted.items()}
    few, every = SAMPLERS
    for setting, found in rates.items():
        name = f"{few} above {every}, {setting.name}"
        yield compare(case, name, found.of(0, few), found.of(0, every))
    changed = [setting for setting in every_setting() if setting != BASE]
    missing = [setting.name for setting in changed if setting not in rates]
    yield Hypothesis("trained", 1.0 - len(missing) / len(changed))
    alone = [STEPS_ALONE - found.from_exact().of(0, few).rate for found in counted.values()]
    steps = Hypothesis.from_slack("steps", np.array(alone))
    yield steps
    if missing and steps.held_share:
        yield f"No network yet for {'; '.join(missing)}."
    yield Facts(
        model=", ".join(found.models[0] for found in rates.values()),
        witness=lambda found: {"seed": case.stream("rates")},
    )
    yield lambda: [_shares(rates), _trends(rates)]


def _shares(rates: Mapping[Setting, Rates]) -> Table:
    """Both samplers' shares per setting; blanks where there is no network."""
    rows: list[Sequence[Cell]] = []
    for setting in every_setting():
        if setting in rates:
            rows += [[setting.name, *row] for row in rate_rows(rates[setting])]
        else:
            rows.append([setting.name, "none shipped", *[None] * (len(COLUMNS) - 1)])
    return Table("Shares per setting, with 95 % intervals", ("setting", *COLUMNS), rows)


def _trends(rates: Mapping[Setting, Rates]) -> Table:
    """What the least and the greatest value of each axis that has a network do to the shares."""
    rows: list[Sequence[Cell]] = []
    for axis in AXES:
        trained = [s for s in settings_along(axis) if s in rates]
        if len(trained) < 2:
            continue
        first, last = trained[0], trained[-1]
        ends: list[Cell] = [float(vars(s)[axis]) for s in (first, last)]
        for sampler in SAMPLERS:
            before, after = (rates[s].of(0, sampler) for s in (first, last))
            outcome = compare_order("", before, after, DISPLAY_MISS).outcome
            word = {Outcome.HOLDS: "falls", Outcome.FAILS: "rises"}.get(outcome, "not resolved")
            rows.append([axis, sampler, *ends, before.rate, after.rate, word])
    columns = ("axis", "sampler", "from", "to", "interpolation there", "and there", "trend")
    return Table("Trends: the ends of each axis, 95 % intervals apart or not", columns, rows)


CLAIM.must_fail(gap, "samplers swapped", change=Rates.swapped)
