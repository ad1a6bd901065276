r"""With a learned score DDIM interpolates more than DDPM.

Statement: With each shipped network as the score, the share of samples that end between two modes
    is larger under DDIM with 50 quadratic steps than under DDPM with all $T$ steps.
Hypotheses:
    - steps: with the exact score, on the same noise, DDIM with 50 steps makes at most one
      interpolation in 1,000 samples, so that what is seen is the network's.
Measured: per trained network, on samples of its own under either sampler: the share of
    interpolations under DDIM, with that of invalid samples beside it. Networks whose training was
    stopped early are not asked.
Predicted: more than the share of interpolations under DDPM: for every network, and for the network
    with the fewest under DDIM against the one with the most under DDPM.
Evidence: learned; two independent counts, ordered by Fisher's exact test, which errs with
    probability at most 1e-6. It is over samples, network by network; how far networks differ is in
    a table of its own, with Student's interval over training seeds.
Source: arXiv 2605.06831 v1, figure 1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison
from verify.ledger.sides import Part
from verify.measure.networks.models import TrainedModel, high_dimensional_state, networks
from verify.measure.networks.order import compare_independent
from verify.measure.networks.pooled import variation_note
from verify.measure.networks.rate_sweeps import rates_over_steps
from verify.measure.networks.rates import Rates, over_seeds, seeds_of, show_rates, steps_alone

CLAIM = Claim.from_docstring(
    __doc__,
    id="F1",
    short="DDIM above DDPM",
    needs=(modes(2),),
    does_not_show=(
        "Why. DDIM with 50 steps also takes larger steps than DDPM: F3 gives it as many. Nor that "
        "another network, architecture or longer training behaves alike: the networks are those "
        "listed, and an interval of one says nothing of the next."
    ),
)


@CLAIM.learned(unit="samples", of=networks)
def gap(
    case: Case,
    models: Sequence[TrainedModel],
    change: Callable[[Rates], Rates] = lambda rates: rates,
) -> Iterator[Part]:
    """DDIM with 50 steps against DDPM on every trained network."""
    measured = rates_over_steps(case)
    rates, (few, *_, every) = change(measured), measured.samplers
    yield from _comparisons(rates, few, every)
    shown = list(dict.fromkeys([few, measured.samplers[-2], every]))
    shares = {name: rates.each(name) for name in shown}
    alone = steps_alone(measured.from_exact().of(0, few))
    yield alone
    if alone.held_share:
        yield from (variation_note(shares), high_dimensional_state())
    yield _gaps(rates, few, every)
    yield from show_rates(case, "Shares per network", rates, shares, shown)


def _comparisons(rates: Rates, few: str, every: str) -> list[Comparison]:
    """The weakest network against the strongest, then each network by itself."""
    ddim, ddpm = rates.each(few), rates.each(every)
    own = [
        compare_independent(f"{few} above {every}, {name}", ddim[k], ddpm[k])
        for k, name in enumerate(rates.models)
    ]
    least = min(range(len(ddim)), key=lambda k: ddim[k].rate)
    most = max(range(len(ddpm)), key=lambda k: ddpm[k].rate)
    if least == most:
        return own
    name = f"{few} of {rates.models[least]} above {every} of {rates.models[most]}"
    return [compare_independent(name, ddim[least], ddpm[most]), *own]


def _gaps(rates: Rates, few: str, every: str) -> dict[str, float]:
    """Per recipe the mean difference of the two shares and its interval over training seeds."""
    found: dict[str, float] = {}
    for recipe, members in seeds_of(rates).items():
        gaps = [rates.of(k, few).rate - rates.of(k, every).rate for k in members]
        low, high = over_seeds(gaps) or (np.nan, np.nan)
        what = f"difference over {len(members)} seeds, {recipe}"
        found |= {what: float(np.mean(gaps)), f"{what}: 95 % from": low, f"{what}: to": high}
    return found


CLAIM.must_fail(gap, "samplers swapped", change=Rates.swapped)
CLAIM.must_fail(
    gap,
    "samplers swapped on the last network",
    change=lambda rates: rates.exchanged(rates.samplers[0], rates.samplers[-1], -1),
)
