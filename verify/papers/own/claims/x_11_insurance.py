r"""Noise as insurance: what a learned sampler is guaranteed not to do.

Statement: Let a learned chain share start and noise with the chain of the exact score, let
    $C = \sum_t |m_t - m_t^{exact}|^2/(2 S_t)$ be the cost of a path over its noisy steps, and
    $L = -\log P_{exact}(E)$. For every event $E$ of the last noisy state and every $K < L$ fixed
    beforehand, $P_{learned}(E) \le P_{learned}(C > K) + 2 e^{-(\sqrt L - \sqrt K)^2}$ and
    $P_{learned}(E) \le \mathrm{kl}^{-1}\big(E \min(C, K);\, P_{exact}(E)\big) +
    P_{learned}(C > K)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - product_grid: the modes are a product grid with product weights, so that the law of the exact
      discrete chain is known coordinate by coordinate.
Measured: how often the last noisy state is in a gap: some coordinate of its exact denoiser lies
    between two grid lines, farther than $5\sigma$ from both. DDPM, and 50 quadratic steps with
    $\eta$ = 0.5, 1, 1.25 and 1.5 (lowered to the largest that a step allows).
Predicted: at most the two guarantees, with $K$ fixed by $P_{exact}$ alone. $P(C > K)$ enters at
    its Clopper-Pearson limit, $E \min(C, K)$ at Hoeffding's; the measured rate counts at its upper
    limit too.
Evidence: sampled for score errors of known size: pushes, whose cost is a closed form, and
    responsibilities blurred by 0.05, 0.1 and 0.25 of the distance between modes; the exact chains'
    laws by the share of their outputs in a gap of one sigma or less, to 12 % of it. Learned: every
    trained model, those stopped early among them, each judged by itself. The last step has no
    noise: gaps of the output are judged by the event pulled back through the model's own last step.
Source: our result, in place of arXiv 2605.06831 v1, Proposition 5.1 and Appendix C.6
"""

from __future__ import annotations

from verify.ledger.claim import Basis, Case, Claim, Verdict
from verify.ledger.needs import modes, one_sigma
from verify.measure.insurance import errors as insured_errors
from verify.measure.insurance import models as insured_models

CLAIM = Claim.from_docstring(
    __doc__,
    id="X11",
    short="noise as insurance",
    sharpens={"C.6": "a guarantee from the score error alone"},
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED, Basis.LEARNED),
    derivation="derivations/pathwise_bound.py",
    does_not_show=(
        "Anything about a sampler without noise: two deterministic paths part at once, no "
        "divergence bounds what they do, and Grönwall's factor on the score error is beyond any "
        "use. Mixtures off product grids: there the exact chain's law is not known. The event "
        "after the model's own last step is found on a mesh."
    ),
)


def check(case: Case) -> list[Verdict]:
    """Synthetic errors, then trained models, against both guarantees."""
    return [insured_errors.judge(CLAIM, case), *insured_models.rows(CLAIM, case)]


def mutants(case: Case) -> dict[str, Verdict]:
    """Costs and laws of the wrong steps, halved divergence, forgotten paths."""
    return insured_errors.mutants(CLAIM, case) | insured_models.mutants(CLAIM, case)
