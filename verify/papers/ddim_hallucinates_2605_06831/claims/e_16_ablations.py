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
Predicted: above that under DDPM from the same noise. What each axis does to both shares is in a
    table of its own: the statement does not need it.
Evidence: learned; decided only where the Clopper-Pearson intervals of two shares, each missing
    with probability 1e-6, lie apart.
Source: arXiv 2605.06831 v1, figure E.16
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mixdyn.support.statistics import DISPLAY_MISS
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.relations import Outcome
from verify.measure.networks.ablated import (
    AXES,
    BASE,
    SAMPLERS,
    Setting,
    ablated_rates,
    every_setting,
    settings_along,
)
from verify.measure.networks.models import TrainedModel
from verify.measure.networks.rates import (
    COLUMNS,
    STEPS_ALONE,
    Cell,
    Change,
    Rates,
    compare_order,
    judge_changed,
    judge_rates,
    rate_rows,
    witness_of,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.16",
    short="ablations",
    rests_on={"F1": "the gap, on other problems"},
    basis=(Basis.LEARNED,),
    does_not_show=(
        "How much of a difference between two settings is the training seed's: there is one "
        "network for each."
    ),
)


def check(case: Case) -> list[Verdict]:
    """DDIM against DDPM on every setting that has a network."""
    if not case.random and not _is_standard(case):
        reason = "The settings are those of the standard problem under the shipped networks."
        return [CLAIM.not_applicable(case, reason, Basis.LEARNED)]
    return judge_rates(CLAIM, case, _judge)


def mutants(case: Case) -> dict[str, Verdict]:
    """The same counts with the samplers' names swapped, and the exact score's counts."""
    changes: dict[str, Change] = {
        "samplers swapped": lambda rates: rates.reordered(rates.samplers[::-1]),
    }
    return judge_changed(CLAIM, case, _judge, changes)


def _is_standard(case: Case) -> bool:
    same_mixture = case.mixture.digest == BASE.mixture.digest
    return same_mixture and case.schedule.digest == BASE.schedule.digest and case.model is None


def _judge(case: Case, change: Change, models: Sequence[TrainedModel]) -> Verdict:
    measured = ablated_rates(case)
    if not measured:
        reason = "No network trained on a changed setting is shipped."
        return CLAIM.not_applicable(case, reason, Basis.LEARNED)
    rates = {setting: change(counted) for setting, counted in measured.items()}
    few, every = SAMPLERS
    changed = [s for s in every_setting() if s != BASE]
    missing = [s.name for s in changed if s not in rates]
    alone = [STEPS_ALONE - r.from_exact().of(0, few).rate for r in measured.values()]
    steps = Hypothesis.from_slack("steps", np.array(alone))
    untrained = f"No network yet for {'; '.join(missing)}." if missing else ""
    finding = Finding(
        comparisons=[
            compare_order(f"{few} above {every}, {s.name}", r.of(0, few), r.of(0, every))
            for s, r in rates.items()
        ],
        hypotheses=[
            Hypothesis("trained", 1.0 - len(missing) / len(changed)),
            steps,
        ],
        nonvacuous_share=1.0,
        witness=witness_of(case),
        unit="samples",
        note=untrained if steps.held_share else "",
        tables=[_shares(rates), _trends(rates)],
        model=", ".join(r.models[0] for r in rates.values()),
    )
    return CLAIM.judge(case, finding)


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
