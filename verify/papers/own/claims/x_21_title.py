r"""DDIM hallucinates more than DDPM: the whole chain in one number.

Statement: Let $H$ be to end between two modes. With the exact score and in continuous time both
    samplers have the law $p_0$ and $P_{DDIM}(H) - P_{DDPM}(H) = 0$. From a start within $\theta$ of
    a midpoint, $P_{DDIM}(H) \ge \frac{r}{\theta} e^{-\Lambda}$ (X3) and $P_{DDPM}(H) \le
    \Phi(\frac{\theta' - c}{\varsigma}) - \Phi(\frac{-\theta' - c}{\varsigma})$ (X5), where the
    published chain has $\frac{r}{\theta} e^{-\frac32 \lambda_{max} U}$ (P4.7) and a term beyond 1
    (P5.1). For a learned score $P_{DDIM}(H) - P_{DDPM}(H) \ge P_{DDIM}(H) - P_{DDPM}(C > K) -
    2e^{-(\sqrt L - \sqrt K)^2}$ with X11's cost $C$ and rarity $L$, which is positive.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the closest pair is separated with margin 7 at a noisy node of the papers' grid.
    - trained: a network is shipped for the case.
Measured: exact: every link from the first separated node on, starts spread evenly within $\theta =
    0.15\, l$ of the midpoint, against the exact law: trap by ball arithmetic, the SDE by O1.
    Learned: DDIM's counts, $H$ = some coordinate of the output in a gap between grid lines farther
    than $5\sigma$ from both, mean over networks, against X11's guarantee for DDPM's output.
Predicted: each link bounds its truth from its side; DDIM's rate is above DDPM's guarantee.
Evidence: exact; learned, where the rate counts at its lower and $P(C > K)$ at its upper
    Clopper-Pearson limit, each missing with probability 1e-6.
Source: our result on what arXiv 2605.06831 v1, title and section 5, states
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mixdyn.support.numbers import Log10, number_from_log
from mixdyn.support.statistics import VERDICT_MISS, Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.insurance.title import Title, title_of
from verify.measure.midpoint.difference import Link, links
from verify.measure.midpoint.stretch import find_window
from verify.measure.networks.models import TrainedModel, networks

CLAIM = Claim.from_docstring(
    __doc__,
    id="X21",
    short="the title's theorem",
    rests_on={
        "X3": "what the flow keeps",
        "X5": "what the noise frees",
        "X11": "DDPM's guarantee on a network",
        "F1": "DDIM's rate on it",
    },
    sharpens={
        "T4.2": "the same distance without loss",
        "P4.7 (2)": "a start that can be seen in a table",
        "P5.1": "a probability below 1",
    },
    needs=(
        modes(2),
        one_sigma.because("its links are P4.7 and P5.1, which are about one width"),
    ),
    derivation="derivations/insurance/difference.py",
    does_not_show=(
        "A theorem without a measurement: what a network's DDIM leaves between modes is counted, "
        "and so is how often DDPM's cost exceeds its budget; what follows from the two is proved. "
        "With the exact score nothing is left to prove: both rates vanish."
    ),
)

LOG = Tolerance(rtol=1e-5, log=True)


# -- the exact score -------------------------------------------------------------------------------


@CLAIM.exact(unit="links")
def chain(
    case: Case, growth: float = 1.0, stretch: float = 1.0, nearer: float = 0.0
) -> Iterator[Part]:
    """Every link. growth: a factor on X3's exponent; stretch: on X5's length; nearer: a share by
    which X2' is to come nearer."""
    if find_window(case) is None:
        yield Hypothesis("separation", 0.0)
        yield "The closest pair is not separated with margin 7 at any noisy node."
        return
    found = links(case, growth, stretch, nearer)
    yield Hypothesis("separation", 1.0, 0.0)
    for link in found:
        bound = {"at_least" if link.lower else "at_most": link.log_bound}
        where = {"link": link.of, "log_bound": link.log_bound}
        yield Side(f"{link.name}, {link.of}", link.log_truth, tolerance=LOG, where=where, **bound)
    yield Facts(nonvacuous=float(np.mean([link.lower or link.log_bound < 0.0 for link in found])))
    yield _note(found)
    yield lambda: [_numbers(found), _table(found)]


CLAIM.must_fail_narrowly(
    chain,
    "across the pair nearer by a share of {}",
    0.5,
    nearer=lambda less: less,
    when=lambda case: case.mixture.d > 1 and find_window(case) is not None,
)
CLAIM.must_fail_narrowly(chain, "Λ shorter by a share of {}", 0.9, growth=lambda less: 1.0 - less)
CLAIM.must_fail_narrowly(
    chain,
    "l' longer by a share of {}",
    0.05,
    stretch=lambda more: 1.0 + more,
    when=lambda case: find_window(case) is not None and any(k.of == "X5" for k in links(case)),
)


def _note(found: Sequence[Link]) -> str:
    """Where the published chain breaks, in words."""
    broken = [
        link.of for link in found if link.published and not link.lower and link.log_bound >= 0
    ]
    at = (
        f"The published chain breaks at {' and '.join(broken)}, a probability beyond 1. "
        if broken
        else ""
    )
    return (
        f"{at}With the exact score and without steps the two samplers end in the same law, p_0: "
        "their difference is 0 whatever the starts of single paths do."
    )


def _numbers(found: Sequence[Link]) -> dict[str, Log10 | float]:
    numbers: dict[str, Log10 | float] = {}
    for published, name in ((True, "published chain"), (False, "our chain")):
        own = [link for link in found if link.published is published]
        low = [link.log_bound for link in own if link.lower]
        high = [link.log_bound for link in own if link.of in ("P5.1", "X5")]
        if low and high:
            numbers[f"{name}: P(DDIM stays) at least"] = Log10.from_log(low[0])
            numbers[f"{name}: P(DDPM stays) at most"] = number_from_log(high[0])
            # The smaller of two such numbers is lost in their difference.
            sign = "positive" if low[0] > high[0] else "negative"
            numbers[f"{name}: the difference is at least ({sign}), in size"] = number_from_log(
                max(low[0], high[0])
            )
    return numbers


def _table(found: Sequence[Link]) -> Table:
    rows = [
        (
            *(link.name, link.of, "published" if link.published else "ours"),
            *("at least" if link.lower else "at most", number_from_log(link.log_bound)),
            *(number_from_log(link.log_truth), number_from_log(link.log_loss)),
        )
        for link in found
    ]
    columns = ("link", "claim", "whose", "side", "bound", "truth", "loses a factor")
    return Table(
        "What each link loses, exact score, from the midpoint's neighbourhood", columns, rows
    )


# -- trained networks ------------------------------------------------------------------------------


def _trained(case: Case) -> list[TrainedModel] | NotApplicable | None:
    product = case.mixture.product_axes() is not None and case.mixture.d == 2
    return (
        networks(case)
        if product or case.random
        else NotApplicable("The guarantee for the output needs a product grid in the plane.")
    )


@CLAIM.learned(unit="samples", of=_trained)
def gap(
    case: Case,
    models: Sequence[TrainedModel],
    change: Callable[[Title], Title] = lambda title: title,
) -> Iterator[Part]:
    """DDIM's rate against DDPM's guarantee, mean over the networks."""
    title = change(case.memo("X21", lambda: title_of(case, models)))
    if not title.models:
        yield NotApplicable("No guarantee for the output is known here.")
        return
    bound = title.guarantee(VERDICT_MISS)
    yield Hypothesis("trained", 1.0, 0.0)
    yield Side(
        "DDIM's rate in a gap, mean over networks, above DDPM's guarantee",
        title.ddim,
        at_least=bound,
    )
    yield Facts(model=", ".join(title.models), witness=lambda _: {"seed": case.stream("insurance")})
    yield lambda: [title.numbers(), *title.tables()]


CLAIM.must_fail(gap, "the samplers swapped", change=lambda title: title.swapped())
CLAIM.must_fail_narrowly(
    gap,
    "DDIM's count less by a share of {}",
    1.0,
    change=lambda less: (
        lambda title: replace(
            title,
            ddim_counts=tuple(
                Proportion(math.floor((1.0 - less) * c.successes), c.trials)
                for c in title.ddim_counts
            ),
        )
    ),
)
