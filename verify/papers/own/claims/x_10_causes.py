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
    by counts.
Predicted: learned above exact under each sampler, and DDIM above DDPM with the learned score. Each
    cell's excess over (exact, DDPM) splits into shares of score and sampler by their mean effect
    over both orders (Shapley's value); the two add up to the whole.
Evidence: learned; counts decide by Clopper-Pearson intervals that miss with probability 1e-6,
    laws to within 2 %.
Source: arXiv 2605.06831 v1, section 5, blames the sampler; arXiv 2406.09358 v2, section 4, the
    score; the decomposition is ours
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison
from verify.measure.interpolation.causes import (
    Cells,
    own_cells,
    own_shares,
    paper_cells,
    paper_problems,
)
from verify.measure.networks.models import TrainedModel, learned_mutants, learned_rows
from verify.measure.networks.pooled import variation_note, variation_table

CLAIM = Claim.from_docstring(
    __doc__,
    id="X10",
    short="whose fault",
    rests_on={"F1": "the gap between samplers", "M1": "the exact score makes none"},
    needs=(modes(2),),
    basis=(Basis.LEARNED,),
    does_not_show=(
        "What part of the score's error does it (M2, C.5): the split is between the whole error "
        "and the whole sampler, and DDIM's 50 steps are also coarser than DDPM's (F3). What "
        "another network would do: the case's own are judged by their mean, and a table shows how "
        "they differ; each problem of arXiv 2406.09358 has one."
    ),
)
Change = Callable[[Cells], Cells]


def check(case: Case) -> list[Verdict]:
    """Four cells on the case's networks, and on those of the other paper."""
    return learned_rows(CLAIM, case, functools.partial(_judge, case, lambda cells: cells))


def mutants(case: Case) -> dict[str, Verdict]:
    """The exact score in the learned one's place; the samplers' names swapped."""
    changes: dict[str, Change] = {
        "exact score in place of the learned one": Cells.without_network,
        "samplers swapped": Cells.swapped,
    }
    measures = {name: functools.partial(_judge, case, change) for name, change in changes.items()}
    return learned_mutants(CLAIM, case, measures)


def _judge(case: Case, change: Change, models: Sequence[TrainedModel]) -> Verdict:
    measured = [own_cells(case), *paper_cells(case)]
    shown = [change(cells) for cells in measured]
    shares = own_shares(case)
    finding = Finding(
        comparisons=[c for cells in shown for c in _compare(cells)],
        hypotheses=[Hypothesis("trained", len(shown) / (1 + paper_problems(case)))],
        nonvacuous_share=1.0,
        witness=lambda comparison: {"compared": comparison.name, "seed": case.stream("rates")},
        unit="samples",
        note=f"{_note(shown)} {variation_note(shares)}",
        tables=[_table(shown), variation_table(shares)],
        model=", ".join(cells.model for cells in shown),
    )
    return CLAIM.judge(case, finding)


def _compare(cells: Cells) -> list[Comparison]:
    return [
        cells.above("learned, DDIM", "exact, DDIM"),
        cells.above("learned, DDPM", "exact, DDPM"),
        cells.above("learned, DDIM", "learned, DDPM"),
    ]


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


def _table(shown: Sequence[Cells]) -> Table:
    rows = [cells.as_row() for cells in shown]
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
