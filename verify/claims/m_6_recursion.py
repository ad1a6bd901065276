r"""Training on one's own samples makes interpolation grow.

Statement: Where each generation is trained on the samples of the one before, the share of samples
    between two modes grows from generation to generation.
Hypotheses: none.
Measured: per seed, on the 5 x 5 grid with $T = 500$: the share of interpolations among the samples
    of the last generation, and from each generation to the next. Every generation is sampled by
    DDPM, and the next one is trained on all of it.
Predicted: above that of the first generation, and nowhere below the generation before.
Evidence: learned; decided only where the Clopper-Pearson intervals of two shares, each missing
    with probability 1e-6, lie apart. A fall from one generation to the next counts against the
    claim where its intervals show it; neighbours too close to tell apart count neither way.
Source: arXiv 2406.09358 v2, section 6
"""

from __future__ import annotations

import itertools
from typing import Any

from verify.claim import Basis, Case, Claim, Finding, Verdict
from verify.relations import Comparison, Outcome
from verify.trained.rates import compare_order
from verify.trained.recursions import (
    Recursion,
    Recursions,
    describe,
    generation_table,
    mean_over_seeds,
    saved_mutants,
    saved_rows,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="M6",
    basis=(Basis.LEARNED,),
    min_modes=2,
    does_not_show=(
        "Where the growth ends, or that it is interpolation alone: the modes' weights drift and "
        "their spread changes as well (see the table). The intervals are over samples; another "
        "training seed gives another network."
    ),
)


def check(case: Case) -> list[Verdict]:
    """The share of interpolations over the generations."""
    return saved_rows(CLAIM, case, _judge)


def mutants(case: Case) -> dict[str, Verdict]:
    """Generations in reverse, and those that a filter by Hal has kept clean."""
    changes: dict[str, Any] = {
        "generations in reverse": Recursions.backwards,
        "filtered by Hal": lambda held: held.with_filters({"hal": "none", "none": "unused"}),
    }
    return saved_mutants(CLAIM, case, _judge, changes)


def _judge(held: Recursions) -> Finding:
    runs = held.of("none")
    growth = [run.between().rate / run.between(0).rate for run in runs if run.between(0).successes]
    return Finding(
        comparisons=[c for run in runs for c in _growth(run)],
        nonvacuous_share=1.0,
        witness=lambda c: {"compared": c.name, "command": held.about["command"]},
        unit="samples",
        note=describe(held),
        numbers=mean_over_seeds("last share over first", growth),
        tables=[generation_table(held, ("none",))],
        model=", ".join(run.name for run in runs),
    )


def _growth(run: Recursion) -> list[Comparison]:
    """The last generation above the first, and every step that its intervals show to fall."""
    last = run.generations[-1].index
    first = run.generations[0].index
    found = [
        compare_order(f"{run.name}: generation {last} above {first}", run.between(), run.between(0))
    ]
    for k, (here, there) in enumerate(itertools.pairwise(run.generations)):
        name = f"{run.name}: generation {there.index} above {here.index}"
        step = compare_order(name, run.between(k + 1), run.between(k))
        if step.outcome is Outcome.FAILS:
            found.append(step)
    return found
