"""The samplers of `frontier` on trained networks of other problems.

One sampler of each family, on every shipped network whose mixture or schedule is another than the
standard one. Of AdaptiveNoise the median in `calibration` and the first steps of its grid
were chosen with these in view; all else with the networks of the standard problem.
"""

from __future__ import annotations

from typing import Any

from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Case
from verify.measure.networks.models import elsewhere, load

from .common import require_torch
from .frontier import ends, headline, tabulate

_BUDGET = (100_000, 150_000)  # evaluations per model and sampler: quick, full


def run(case: Case) -> dict[str, Any]:
    """models (M,), the checkpoints' names; all else as in `frontier`."""
    require_torch()
    problems = elsewhere(case)
    if case.name != "standard" or not problems:
        raise NotApplicableError(
            "this experiment compares the standard problem with the other shipped networks",
            f"case {case.name} with {len(problems)} of them",
            "Run it on the standard problem.",
        )
    budget = case.pick(*_BUDGET)
    found = []
    for problem, checkpoint in problems:
        score = load(checkpoint).score
        found.append([ends(problem, score, m, budget) for m in headline(problem.schedule)])
    return {
        "models": [checkpoint.name for _, checkpoint in problems],
        "family": [method.family for method in headline(case.schedule)],
        **tabulate(found, [problem.mixture.N for problem, _ in problems]),
    }
