"""AdaptiveNoise on trained networks: its rate, weights and spread beside those of DDIM and DDPM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn.geometry import Region
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM, Sampler
from mixdyn.samplers.adaptive import AdaptiveNoise
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import POWER, Proportion, heterogeneity

from ...ledger.case import Case, Profile
from ...ledger.relations import NotWorse
from ...ledger.sides import Part
from ...ledger.verdict import Table
from ..ends import Ends, ends_of
from ..paths import ddim_grid
from .models import TrainedModel, elsewhere, load
from .order import Order
from .paths import sampled_runs
from .rate_sweeps import largest_eta, within_mode_std
from .rates import ddim

_STEPS, _ETAS = (20, 50, 100), (0.0, 0.5, 1.0, 1.25, 1.5)
_ADAPTIVE, _DDIM, _DDPM_FULL = (12_000, 200_000), (8_000, 100_000), 40_000
_CLEAR = 1e-9  # a look at a quarter that decides at this level spends none of the verdict's


@dataclass(frozen=True)
class Trial:
    """One model under AdaptiveNoise, DDIM and DDPM. ddpm is None where the profile has no time for
    it; its samples share no noise with AdaptiveNoise's. own: a network of the case, not of another
    problem."""

    model: str
    adaptive: Ends
    ddim: Ends
    ddpm: Ends | None
    own: bool = True


def _ends(problem: Case, model: TrainedModel, sampler: Sampler, n: int, first: int = 0) -> Ends:
    seed = problem.stream("rates")
    run = sample(model.score, problem.schedule, sampler, n=n, rng=seed, first=first)
    return ends_of(problem.mixture, np.asarray(run.x), run.n_eval)


def _own(case: Case, model: TrainedModel, block: int, share: int) -> Trial:
    """A model of the case: DDIM and DDPM as they ran for every claim about learned paths."""
    noise = AdaptiveNoise().within(case.schedule)
    adaptive = _ends(case, model, noise, case.pick(*_ADAPTIVE))
    few, every = (
        ends_of(case.mixture, run.visits.end, steps)
        for run, steps in zip(
            sampled_runs(case, model, block, share),
            (ddim_grid(case).steps, case.schedule.T),
            strict=True,
        )
    )
    return Trial(model.name, adaptive, few, every)


def _elsewhere(problem: Case, model: TrainedModel) -> Trial:
    """A network of another problem: a quarter of the samples where they show the order."""
    noise, plain = AdaptiveNoise().within(problem.schedule), ddim(problem.schedule)
    apart = _ADAPTIVE[1]  # samples of their own: the tests are of independent counts
    every = _ends(problem, model, DDPM(), _DDPM_FULL, apart) if _is_full(problem) else None
    for parts in (4, 1):
        adaptive = _ends(problem, model, noise, problem.pick(*_ADAPTIVE) // parts)
        few = _ends(problem, model, plain, problem.pick(*_DDIM) // parts, apart)
        if abs(Order(miss=_CLEAR).against(few.interpolation, adaptive.interpolation)) >= 1.0:
            break
    return Trial(model.name, adaptive, few, every, own=False)


def _is_full(case: Case) -> bool:
    return case.profile is Profile.FULL


def trials_of(case: Case, models: Sequence[TrainedModel]) -> list[Trial]:
    """The case's models; on the standard problem also the shipped networks of other problems, on
    which nothing about the sampler was chosen but the median in `calibration` and the
    first steps of its grid."""
    if case.mixture.N == 1:
        raise NotApplicableError(
            "an interpolation lies between two modes", "one mode", "Use a mixture of several."
        )

    def measure() -> list[Trial]:
        trials = [_own(case, model, k, len(models)) for k, model in enumerate(models)]
        if case.name != "standard":
            return trials
        return trials + [_elsewhere(problem, load(other)) for problem, other in elsewhere(case)]

    return case.memo("X8 trials", measure)


def sums_of(trials: Sequence[Trial]) -> tuple[Proportion, Proportion] | None:
    """Interpolations of AdaptiveNoise and of DDPM over the case's own models."""
    own = [(t.adaptive.interpolation, t.ddpm.interpolation) for t in trials if t.own and t.ddpm]
    if not own:
        return None
    adaptive, ddpm = (Proportion.pooled(side) for side in zip(*own, strict=True))
    return adaptive, ddpm


def shown(case: Case, models: Sequence[TrainedModel], trials: Sequence[Trial]) -> Iterator[Part]:
    """Note, numbers and tables of X8's learned row."""
    yield _note(trials)
    yield _numbers(trials)
    yield _table(trials)
    yield case.memo("X8 eta", lambda: _over_noised(case, models))


def _note(trials: Sequence[Trial]) -> str:
    sums, rule = sums_of(trials), NotWorse()
    needed = None
    if sums is not None:
        needed = rule.needed(sums[1], sums[0].trials / sums[1].trials)
    words = (
        "no interpolation was seen, which leaves the number of samples open"
        if needed is None or sums is None
        else f"{needed:,} samples of DDPM are needed; there are {sums[1].trials:,}"
    )
    return (
        f"Not above DDPM means at most {rule.margin:g} times its rate: to see a sampler of "
        f"{rule.ratio:g} times the rate fail with probability {POWER:g}, {words}. Networks of "
        "other problems are held against DDPM in the full profile only."
    )


def _numbers(trials: Sequence[Trial]) -> dict[str, float | None]:
    """How far the case's own models differ."""
    own = [trial.adaptive.interpolation for trial in trials if trial.own]
    if len(own) < 2:
        return {}
    spread, _, p_value = heterogeneity([p.successes for p in own], [p.trials for p in own])
    return {
        "smallest rate of a model": min(p.rate for p in own),
        "largest rate of a model": max(p.rate for p in own),
        "chi-square of the models' rates": spread,
        "its p-value": p_value,
    }


def _table(trials: Sequence[Trial]) -> Table:
    rows = []
    for trial in trials:
        ends = {"AdaptiveNoise": trial.adaptive, "DDIM": trial.ddim, "DDPM": trial.ddpm}
        rows += [_row(trial, name, found) for name, found in ends.items() if found is not None]
    columns = (
        *("model", "sampler", "samples", "evaluations", "interpolation", "from", "to"),
        *("invalid", "weight error", "spread/σ"),
    )
    caption = "Rates with 95 % intervals; weight error: (chi-square - degrees)/samples"
    return Table(caption, columns, rows)


def _row(trial: Trial, name: str, ends: Ends) -> tuple[float | str, ...]:
    rate, n = ends.interpolation, int(ends.counts.sum())
    invalid = float(ends.counts[Region.INVALID] / n)
    cells = (rate.rate, *rate.interval(), invalid, ends.weight_error, ends.spread)
    return (trial.model, name, n, ends.n_eval, *cells)


def _over_noised(case: Case, models: Sequence[TrainedModel]) -> Table:
    """What more noise buys and costs: DDIM(eta) with few steps, and the price by the recursion."""
    n, rows = case.pick(500, 20_000), []
    for steps in (s for s in _STEPS if s <= case.schedule.T):
        for eta in (eta for eta in _ETAS if eta <= largest_eta(case.schedule, steps)):
            ends = [_ends(case, model, ddim(case.schedule, steps, eta), n) for model in models]
            hits = Proportion(
                int(sum(e.counts[Region.INTERPOLATION] for e in ends)), n * len(models)
            )
            excess = float(np.mean([e.weight_error for e in ends]))
            spread = float(np.mean([e.spread for e in ends]))
            sigma = case.mixture.sigma
            alone = within_mode_std(case, eta, steps) / sigma if isinstance(sigma, float) else None
            rows.append((steps, eta, hits.rate, *hits.interval(), excess, spread, alone))
    columns = (
        *("steps", "eta", "interpolation", "from", "to", "weight error", "spread/σ"),
        "spread by the recursion",
    )
    caption = f"DDIM(eta), all networks, {n:,} samples each: rate, weights and spread"
    return Table(caption, columns, rows)
