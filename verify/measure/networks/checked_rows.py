"""CheckedNoise on trained networks: its rate, weights and spread beside those of DDPM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.samplers.checked import CheckedNoise
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import POWER, Proportion

from ...data.saved import words_on_code
from ...ledger.case import Case
from ...ledger.relations import NotWorse
from ...ledger.sides import Part
from ...ledger.verdict import Table
from ..ends import Ends, ends_of
from .ddpm_ends import about, ddpm_ends
from .groups import LINES, OWN, compared, group_of
from .models import TrainedModel, load

_SAMPLES, _ELSEWHERE = (12_000, 100_000), (20_000, 100_000)
_DDPM = (2_000, 20_000)


@dataclass(frozen=True)
class Trial:
    """A model under CheckedNoise and DDPM, whose samples share no noise; its group, and whether it
    is of the case's own problem."""

    model: str
    group: str
    checked: Ends
    ddpm: Ends
    own: bool = True


def trials_of(case: Case, models: Sequence[TrainedModel]) -> list[Trial]:
    """The case's models; on the standard problem every shipped network but those stopped early."""
    if case.mixture.N == 1:
        raise NotApplicableError(
            "samples between modes need two modes", "one mode", "Use a mixture of several."
        )

    def measure() -> list[Trial]:
        if case.name != "standard" or case.model is not None:
            return [_trial(case, case.mixture, case.schedule, m, OWN, True) for m in models]
        own = {model.name: model for model in models}
        return [
            _trial(
                case,
                each.mixture(),
                each.schedule(),
                own.get(each.name) or load(each),
                group_of(each),
                each.name in own,
            )
            for each in compared()
        ]

    return case.memo("X14 trials", measure)


def _trial(
    case: Case, mixture: Any, schedule: Any, model: TrainedModel, group: str, own: bool
) -> Trial:
    n = case.pick(*(_SAMPLES if own else _ELSEWHERE))
    how = CheckedNoise().within(schedule)
    run = sample(model.score, schedule, how, n=n, rng=case.stream("X14 checked"))
    checked = ends_of(mixture, np.asarray(run.x), run.n_eval)
    reference = None if group == OWN else ddpm_ends(model.name, mixture)
    if reference is None:
        seed, n = case.stream("X14 ddpm"), case.pick(*_DDPM)
        full = sample(model.score, schedule, DDPM(), n=n, rng=seed)
        reference = ends_of(mixture, np.asarray(full.x), full.n_eval)
    return Trial(model.name, group, checked, reference, own)


def pooled(trials: Sequence[Trial]) -> Iterator[tuple[str, Proportion, Proportion]]:
    """Of every group: its name, samples outside the modes under CheckedNoise, and under DDPM."""
    for group in dict.fromkeys(trial.group for trial in trials):
        sides = [(t.checked.outside, t.ddpm.outside) for t in trials if t.group == group]
        checked, ddpm = (Proportion.pooled(side) for side in zip(*sides, strict=True))
        yield group, checked, ddpm


def shown(trials: Sequence[Trial]) -> Iterator[Part]:
    """Note and table of X14's learned row."""
    rule = NotWorse()
    words = [
        f"Not above DDPM means at most {rule.margin:g} times its rate, of samples outside the "
        "modes, over each group of networks."
    ]
    for group, checked, ddpm in pooled(trials):
        needed = rule.needed(ddpm, checked.trials / ddpm.trials)
        if needed is not None:
            words.append(
                f"To see {rule.ratio:g} times its rate fail with probability {POWER:g} on {group} "
                f"{needed:,} samples of DDPM are needed; there are {ddpm.trials:,}."
            )
    if any(trial.group == LINES for trial in trials):
        words.append(
            "A group's rate is that of its worst networks: on lines, where DDPM leaves 0.01 %, the "
            "two cannot be told apart."
        )
    if any(trial.group != OWN for trial in trials):
        words.append(words_on_code(about()["about"]))
    yield " ".join(word for word in words if word)
    evaluations = [trial.checked.n_eval for trial in trials]
    yield {"median evaluations": float(np.median(evaluations))}
    rows = []
    for trial in sorted(trials, key=lambda t: t.group):
        for name, ends in (("CheckedNoise", trial.checked), ("DDPM", trial.ddpm)):
            rate, n = ends.outside, int(ends.counts.sum())
            cells = (rate.rate, *rate.interval(), ends.weight_error, ends.spread)
            rows.append((trial.group, trial.model, name, n, ends.n_eval, *cells))
    columns = (
        *("group", "model", "sampler", "samples", "evaluations"),
        *("outside", "from", "to", "weight error", "spread/σ"),
    )
    yield Table(
        "Rates with 95 % intervals; weight error: (chi-square - degrees)/samples", columns, rows
    )
