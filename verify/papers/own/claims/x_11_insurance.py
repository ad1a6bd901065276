r"""Noise as insurance: what a learned sampler is guaranteed not to do.

Statement: Let a learned chain share start and noise with the chain of the exact score, let
    $C = \sum_t |m_t - m_t^{exact}|^2/(2 S_t)$ be the cost of a path over its noisy steps, and
    $L = -\log P_{exact}(E)$. For every event $E$ of the last noisy state and every $K < L$ fixed
    beforehand, $P_{learned}(E) \le P_{learned}(C > K) + 2 e^{-(\sqrt L - \sqrt K)^2}$ and
    $P_{learned}(E) \le \mathrm{kl}^{-1}\big(E \min(C, K);\, P_{exact}(E)\big) +
    P_{learned}(C > K)$.
Hypotheses:
    - common_sigma: all modes share one sigma; on product grids one covariance along the coordinate
      axes serves too.
Measured: how often the last noisy state is in a gap: some coordinate of its exact denoiser lies
    between two grid lines, farther than $5\sigma$, its own, from both; off product grids, it lies
    between its two nearest modes, as far from both. DDPM (not on random problems), and 50 quadratic
    steps with $\eta$ = 0.5, 1, 1.25 and 1.5 (lowered to the largest that a step allows).
Predicted: at most the two guarantees, with $K$ fixed by $P_{exact}$ alone. $P(C > K)$ enters at
    its Clopper-Pearson limit, $E \min(C, K)$ at Hoeffding's; the measured rate counts at its upper
    limit too.
Evidence: sampled for score errors of known size: pushes, whose cost is a closed form, and
    responsibilities blurred by 0.05, 0.1 and 0.25 of the distance between modes; the exact chains'
    laws by the share of their outputs in a gap of one sigma or less, to 12 % of it. $P_{exact}$ is
    computed on product grids, elsewhere estimated without bias and taken at the upper end of an
    interval that errs with probability 1e-7. Learned: every
    trained model, those stopped early among them, each judged by itself. The last step has no
    noise: gaps of the output are judged by the event pulled back through the model's own last step.
Source: our result, in place of arXiv 2605.06831 v1, Proposition 5.1 and Appendix C.6
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mixdyn import bounds
from mixdyn.support.numbers import nearest_double, show_share
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_covariance, proper
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis
from verify.measure.covariances import COMMON_SIGMA, one_width
from verify.measure.insurance import errors, terms
from verify.measure.insurance import models as trained
from verify.measure.insurance.chains import find_chains, is_product
from verify.measure.insurance.terms import Insured
from verify.measure.networks.models import TrainedModel, networks

CLAIM = Claim.from_docstring(
    __doc__,
    id="X11",
    short="noise as insurance",
    sharpens={"C.6": "a guarantee from the score error alone"},
    needs=(
        modes(2),
        proper,
        one_covariance.because("the exact chain's law is known on products of lines alone"),
    ),
    derivation="derivations/insurance/pathwise_bound.py",
    does_not_show=(
        "Anything about a sampler without noise: two deterministic paths part at once, no "
        "divergence bounds what they do, and Grönwall's factor on the score error is beyond any "
        "use. The event after the model's own last step is found on a mesh, and on product grids "
        "alone."
    ),
)


def _stated(case: Case) -> Iterator[Hypothesis]:
    if one_width(case):
        yield COMMON_SIGMA


# -- errors of known size ------------------------------------------------------------------------


@CLAIM.sampled(unit="samples")
def known(case: Case, divergence: float = 1.0, cost: float = 1.0, law: int = 0) -> Iterator[Part]:
    """Laws of the exact chains, costs of pushes, and rates against both guarantees. divergence,
    cost: factors on them; law: how many chains further the law is taken from."""
    chains = find_chains(case)
    runs = case.memo("X11 known errors", lambda: errors.run_known(case, chains))
    strays = case.memo("X11 strays", lambda: [errors.stray(case, chain) for chain in chains])
    yield from _stated(case)
    for k, (chain, found) in enumerate(zip(chains, strays, strict=True)):
        found_by = chains[(k + law) % len(chains)]
        share = errors.share_in_gap(case, found_by, found.radius)
        yield Side(
            f"exact chain in a gap of {found.radius / found.std:g} sigma, {chain.name}",
            found.hits.rate,
            equals=share,
            tolerance=Tolerance(
                atol=errors.known_to(case, found_by, found.radius, found.hits.trials)
            ),
        )
    for run, paid in sorted(runs, key=lambda each: each[1] is None):
        if paid is not None:
            yield from pushed(run, paid, divergence, cost)
        else:
            yield _rate(run, "pathwise", run.pathwise())
            yield _rate(run, "stopped kl", run.stopped(factor=divergence))
    every = [run for run, _ in runs]
    yield Facts(
        nonvacuous=np.array([run.pathwise() < 1.0 for run in every]),
        model="exact score with a known error",
        witness=lambda _: {"seed": case.stream("insurance")},
    )
    if is_product(case.mixture):
        yield (
            "The exact chains' laws are compared to within "
            f"{show_share(errors.precise(case), 2)} of the share in a gap that is counted."
        )
    yield lambda: [
        terms.gap_costs(every),
        terms.table("Guarantee and rate under errors of known size", every),
    ]


def pushed(run: Insured, paid: float, divergence: float = 1.0, cost: float = 1.0) -> Iterator[Side]:
    """Every path costs the closed form; both forms of the guarantee at that known cost."""
    yield Side(f"cost of a path, {run.name}", run.cost, equals=paid, tolerance=Tolerance(rtol=1e-6))
    yield _rate(run, "pathwise", float(bounds.pathwise_probability(0.0, cost * paid, run.log_p)))
    yield _rate(run, "kl", float(np.exp(bounds.log_kl_inverse(divergence * paid, run.log_p))))


def _rate(run: Insured, form: str, bound: float, what: str = "") -> Side:
    return Side(f"share in a gap, {what}{run.name}, {form}", run.rate, at_most=bound)


# -- trained models ------------------------------------------------------------------------------

Guarantees = Mapping[str, Callable[[Insured], float]]
BOTH: Guarantees = {"pathwise": Insured.pathwise, "stopped kl": Insured.stopped}


@CLAIM.learned(unit="samples", of=networks)
def learned(case: Case, models: Sequence[TrainedModel], given: Guarantees = BOTH) -> Iterator[Part]:
    """Every model at the last noisy time, and after its own last step, the tightest first."""
    runs = trained.measured(case, models)
    last = case.memo("X11 last step", lambda: trained.after(case, models, runs))
    sides = [_rate(run, form, bound(run)) for run in runs for form, bound in given.items()]
    telling = np.array([nearest_double(side.comparison.bound) < 1.0 for side in sides])
    after = "after its own last step, "
    sides += [_rate(run, form, bound(run), after) for run in last for form, bound in given.items()]
    yield from sorted(sides, key=lambda s: -nearest_double(s.comparison.tightness or 0.0))
    yield from _stated(case)
    yield Facts(
        nonvacuous=telling,
        model=", ".join(dict.fromkeys(run.model for run in runs)),
        witness=lambda _: {"seed": case.stream("insurance")},
    )
    yield lambda: trained.shown(case, models, runs, last)


CLAIM.must_fail(known, "a third of the divergence", divergence=1.0 / 3.0)
CLAIM.must_fail(known, "a quarter of the cost", cost=0.25)
CLAIM.must_fail(known, "law of another η", law=1)
CLAIM.must_fail(
    learned,
    "paths that exceed the budget forgotten",
    given={"pathwise": lambda run: float(bounds.pathwise_probability(0.0, run.budget, run.log_p))},
)
CLAIM.must_fail(
    learned,
    "standard deviation of the noise in place of its variance",
    given={"pathwise": lambda run: replace(run, cost=run.mixed_up).pathwise()},
)
