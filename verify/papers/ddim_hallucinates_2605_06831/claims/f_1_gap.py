r"""With a learned score DDIM interpolates more than DDPM.

Statement: With each shipped network as the score, the share of samples that end between two modes
    is larger under DDIM with 50 quadratic steps than under DDPM with all $T$ steps.
Hypotheses:
    - steps: with the exact score, on the same noise, DDIM with 50 steps makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: per trained network, from the same noise under either sampler: the share of
    interpolations under DDIM, with that of invalid samples beside it. Networks whose training was
    stopped early are not asked.
Predicted: more than the share of interpolations under DDPM: for every network, and for the network
    with the fewest under DDIM against the one with the most under DDPM.
Evidence: learned; decided only where the Clopper-Pearson intervals of two shares, each missing
    with probability 1e-6, lie apart. These intervals are over samples, network by network; how far
    networks differ is in a table of its own, with Student's interval over training seeds.
Source: arXiv 2605.06831 v1, figure 1
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verify.ledger.claim import Basis, Case, Claim, Finding, Verdict
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison
from verify.measure.networks.models import TrainedModel, high_dimensional_state
from verify.measure.networks.pooled import Shares, variation_note, variation_table
from verify.measure.networks.rate_sweeps import (
    allowed_steps,
    ddim_name,
    ddpm_name,
    rates_over_steps,
)
from verify.measure.networks.rates import (
    Change,
    Rates,
    compare_order,
    judge_changed,
    judge_rates,
    over_seeds,
    rate_table,
    seeds_of,
    steps_alone,
    witness_of,
)
from verify.measure.paths import DDIM_STEPS

CLAIM = Claim.from_docstring(
    __doc__,
    id="F1",
    short="DDIM above DDPM",
    needs=(modes(2),),
    basis=(Basis.LEARNED,),
    does_not_show=(
        "Why. DDIM with 50 steps also takes larger steps than DDPM: F3 gives it as many. Nor that "
        "another network, architecture or longer training behaves alike: the networks are those "
        "listed, and an interval of one says nothing of the next."
    ),
)


def check(case: Case) -> list[Verdict]:
    """DDIM with 50 steps against DDPM on every trained network."""
    return judge_rates(CLAIM, case, _judge)


def mutants(case: Case) -> dict[str, Verdict]:
    """The same counts with the samplers' names swapped: on all networks, on the last one alone."""
    few, every = _pair(case)
    names = {few: every, every: few}
    changes: dict[str, Change] = {
        "samplers swapped": lambda rates: rates.reordered(
            [names.get(name, name) for name in rates.samplers]
        ),
        "samplers swapped on the last network": lambda rates: rates.exchanged(few, every, -1),
    }
    return judge_changed(CLAIM, case, _judge, changes)


def _pair(case: Case) -> tuple[str, str]:
    """The names of the two samplers."""
    return ddim_name(min(DDIM_STEPS, case.schedule.T)), ddpm_name(case.schedule)


def _judge(case: Case, change: Change, models: Sequence[TrainedModel]) -> Verdict:
    measured = rates_over_steps(case)
    rates = change(measured)
    few, every = _pair(case)
    shown = list(dict.fromkeys([few, ddim_name(allowed_steps(case.schedule)[-1]), every]))

    shares = {name: rates.each(name) for name in shown}
    alone = steps_alone(measured.from_exact().of(0, few))
    finding = Finding(
        comparisons=_comparisons(rates, few, every),
        hypotheses=[alone],
        nonvacuous_share=1.0,
        witness=witness_of(case),
        unit="samples",
        note=_note(shares) if alone.held_share == 1.0 else "",
        numbers=_gaps(rates, few, every),
        tables=[
            rate_table("Shares per network, with 95 % intervals", rates, shown),
            variation_table(shares),
        ],
        model=", ".join(rates.models),
    )
    return CLAIM.judge(case, finding)


def _note(shares: Shares) -> str:
    return f"{variation_note(shares)} {high_dimensional_state()}".strip()


def _comparisons(rates: Rates, few: str, every: str) -> list[Comparison]:
    """The weakest network against the strongest, then each network by itself."""
    n_models = range(len(rates.models))
    ddim, ddpm = ([rates.of(k, name) for k in n_models] for name in (few, every))
    own = [
        compare_order(f"{few} above {every}, {name}", ddim[k], ddpm[k])
        for k, name in enumerate(rates.models)
    ]
    least = min(n_models, key=lambda k: ddim[k].rate)
    most = max(n_models, key=lambda k: ddpm[k].rate)
    if least == most:
        return own
    name = f"{few} of {rates.models[least]} above {every} of {rates.models[most]}"
    return [compare_order(name, ddim[least], ddpm[most]), *own]


def _gaps(rates: Rates, few: str, every: str) -> dict[str, float]:
    """Per recipe the mean difference of the two shares and its interval over training seeds."""
    found: dict[str, float] = {}
    for recipe, members in seeds_of(rates).items():
        gaps = [rates.of(k, few).rate - rates.of(k, every).rate for k in members]
        low, high = over_seeds(gaps) or (np.nan, np.nan)
        what = f"difference over {len(members)} seeds, {recipe}"
        found |= {what: float(np.mean(gaps)), f"{what}: 95 % from": low, f"{what}: to": high}
    return found
