r"""Whose fault interpolation is: the score's, the sampler's, or both.

Statement: Interpolation takes an inexact score: with the exact one neither DDIM nor DDPM makes
    it, on the same noise. With a learned score both do, and DDIM more: the sampler multiplies what
    the score begins.
Hypotheses:
    - trained: a network is shipped for the case and, on the standard one, for each problem of
      arXiv 2406.09358; those without one are left out.
Measured: the probability of ending between modes for exact and learned score, under DDIM with 50
    steps and under DDPM, four cells on the same noise: on the case's own networks by counts, the
    mean of these networks, exact DDPM on product mixtures by the law of its chain; on the networks
    of arXiv 2406.09358 on lines by the law of the chain, without sampling error, and in the plane
    by counts, exact DDPM by the law there too.
Predicted: learned above exact under each sampler, and DDIM above DDPM with the learned score. Each
    cell's excess over (exact, DDPM) splits into shares of score and sampler by their mean effect
    over both orders (Shapley's value); the two add up to the whole.
Evidence: learned; counts decide by Clopper-Pearson intervals that miss with probability 1e-6,
    laws to within 2 %.
Source: arXiv 2605.06831 v1, section 5, blames the sampler; arXiv 2406.09358 v2, section 4, the
    score; the decomposition is ours
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.interpolation.causes import (
    NAMES,
    Cells,
    own_cells,
    own_shares,
    paper_cells,
    paper_problems,
)
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.order import compare_order
from verify.measure.networks.pooled import variation_note, variation_table

CLAIM = Claim.from_docstring(
    __doc__,
    id="X10",
    short="whose fault",
    rests_on={"F1": "the gap between samplers", "M1": "the exact score makes none"},
    needs=(modes(2),),
    does_not_show=(
        "What part of the score's error does it (M2, C.5): the split is between the whole error "
        "and the whole sampler, and DDIM's 50 steps are also coarser than DDPM's (F3). What "
        "another network would do: the case's own are judged by their mean, and a table shows how "
        "they differ; each problem of arXiv 2406.09358 has one."
    ),
)


@CLAIM.learned(unit="samples", of=networks)
def causes(
    case: Case,
    models: Sequence[TrainedModel],
    change: Callable[[Cells], Cells] = lambda cells: cells,
) -> Iterator[Part]:
    """Four cells on the case's networks, and on those of the other paper."""
    every = [change(cells) for cells in (own_cells(case), *paper_cells(case))]
    for cells in every:
        yield above(cells, "learned, DDIM", "exact, DDIM")
        yield above(cells, "learned, DDPM", "exact, DDPM")
        yield above(cells, "learned, DDIM", "learned, DDPM")
    yield Hypothesis("trained", len(every) / (1 + paper_problems(case)))
    yield Facts(
        model=", ".join(cells.model for cells in every),
        witness=lambda _: {"seed": case.stream("rates")},
    )
    shares = own_shares(case)
    yield from (_note(every), variation_note(shares))
    yield lambda: [_table(every), variation_table(shares)]


def above(cells: Cells, larger: str, smaller: str) -> Side | Comparison:
    """Whether one cell is above another: intervals apart, or computed numbers to within 2 %."""
    name = f"{cells.problem}: {larger} above {smaller}"
    a, b = cells.cells[larger], cells.cells[smaller]
    if isinstance(b, Proportion):
        return compare_order(name, a, b) if isinstance(a, Proportion) else Side(name, b, at_most=a)
    if isinstance(a, Proportion):
        return Side(name, a, at_least=b)
    # Equal cells are not one above the other.
    return Side(name, a, at_least=1.05 * b, tolerance=Tolerance(rtol=0.02, atol=1e-12))


def _note(shown: Sequence[Cells]) -> str:
    """How the causes multiply, whose share is the larger one, where DDIM makes fewer."""
    sampler = [cells.problem for cells in shown if cells.shares()[1] > cells.shares()[0]]
    better = [c.problem for c in shown if c.rate("learned, DDIM") < c.rate("learned, DDPM")]
    factors = [cells.together() for cells in shown]
    note = (
        f"Both together add {min(factors):,.0f} to {max(factors):,.0f} times the sum of what each "
        "adds alone. "
    )
    if sampler:
        note += f"The sampler's share is the larger one on {'; '.join(sampler)}."
    else:
        note += "The score's share is the larger one everywhere, mostly by little."
    return note + (f" DDIM makes fewer on {'; '.join(better)}." if better else "")


def _table(every: Sequence[Cells]) -> Table:
    """The cells and the shares of the causes; blanks where a count has no interval to show."""
    rows = []
    for cells in every:
        n_samples = [cells.samples(f"learned, {by}") for by in ("DDIM", "DDPM")]
        exact = [cells.rate(f"exact, {by}") for by in ("DDIM", "DDPM")]
        learned = [(cells.rate(name), *cells.interval(name)) for name in NAMES[2:]]
        split = (*cells.shares(), cells.interaction())
        rows.append((cells.problem, *n_samples, *exact, *learned[0], *learned[1], *split))
    columns = (
        *("problem", "samples under DDIM", "under DDPM"),
        *("exact, DDIM", "exact, DDPM", "learned, DDIM", "from", "to"),
        *("learned, DDPM", "from", "to", "the score's share", "the sampler's", "interaction"),
    )
    caption = (
        "Probability of ending between modes by score and sampler; 95 % intervals of counts, none "
        "where the law was computed. Interaction: what both causes do beyond each alone"
    )
    return Table(caption, columns, rows)


def renamed(cells: Cells, **words: str) -> Cells:
    """Every cell as the one whose name has these words in place of its own."""
    other = {name: ", ".join(words.get(word, word) for word in name.split(", ")) for name in NAMES}
    return replace(cells, cells={name: cells.cells[other[name]] for name in NAMES})


CLAIM.must_fail(
    causes,
    "exact score in place of the learned one",
    change=lambda cells: renamed(cells, learned="exact"),
)
CLAIM.must_fail(
    causes, "samplers swapped", change=lambda cells: renamed(cells, DDIM="DDPM", DDPM="DDIM")
)
