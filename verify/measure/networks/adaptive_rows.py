"""AdaptiveNoise on trained networks: its rate, weights and spread beside those of DDIM and DDPM."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixdyn.adaptive import AdaptiveNoise
from mixdyn.geometry import Region
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM, Sampler
from mixdyn.support.statistics import POWER, Proportion, heterogeneity

from ...ledger.claim import Basis, Case, Claim, Finding, Profile, Table, Verdict
from ...ledger.relations import Comparison, NotWorse, Upper, compare, compare_not_worse
from ..ends import Ends, compare_spread, compare_weights, ends_of
from .models import TrainedModel, elsewhere, learned_mutants, load
from .rate_sweeps import largest_eta, within_mode_std
from .rates import compare_order, ddim

EVALUATIONS, WEIGHT_MARGIN = 50, 0.01
_STEPS, _ETAS = (20, 50, 100), (0.0, 0.5, 1.0, 1.25, 1.5)
_SAMPLES = {"AdaptiveNoise": (12_000, 200_000), "DDIM": (8_000, 100_000), "DDPM": (2_000, 40_000)}


@dataclass(frozen=True)
class Trial:
    """One model under AdaptiveNoise, DDIM and DDPM. ddpm is None where the profile has no time for
    it; its samples share no noise with the others'. own: a network of the case, not of another
    problem."""

    model: str
    adaptive: Ends
    ddim: Ends
    ddpm: Ends | None
    own: bool = True


def adaptive_for(schedule: NoiseSchedule) -> AdaptiveNoise:
    """AdaptiveNoise as it is, with fewer steps where the schedule has not that many."""
    usual = AdaptiveNoise()
    steps = min(usual.steps, schedule.T)
    return AdaptiveNoise(steps)


def _ends(problem: Case, model: TrainedModel, sampler: Sampler, n: int, first: int = 0) -> Ends:
    seed = problem.stream("rates")
    run = sample(model.score, problem.schedule, sampler, n=n, rng=seed, first=first)
    return ends_of(problem.mixture, np.asarray(run.x), run.n_eval)


def _trial(problem: Case, model: TrainedModel, *, own: bool, with_ddpm: bool) -> Trial:
    counts = {name: problem.pick(*sizes) for name, sizes in _SAMPLES.items()}
    adaptive = _ends(problem, model, adaptive_for(problem.schedule), counts["AdaptiveNoise"])
    few = _ends(problem, model, ddim(problem.schedule), counts["DDIM"])
    # Samples of its own: the test of "not worse" is one of independent counts.
    apart = counts["AdaptiveNoise"]
    every = _ends(problem, model, DDPM(), counts["DDPM"], apart) if with_ddpm else None
    return Trial(model.name, adaptive, few, every, own)


def _trials(case: Case, models: Sequence[TrainedModel]) -> list[Trial]:
    """The case's models; on the standard problem also the shipped networks of other problems, on
    which nothing about the sampler was chosen but the median in `mixdyn.calibration` and the
    first steps of its grid."""

    def measure() -> list[Trial]:
        trials = [_trial(case, model, own=True, with_ddpm=True) for model in models]
        if case.name != "standard":
            return trials
        full = case.profile is Profile.FULL
        others = [(problem, load(checkpoint)) for problem, checkpoint in elsewhere(case)]
        return trials + [_trial(p, model, own=False, with_ddpm=full) for p, model in others]

    return case.memo("X8 trials", measure)


Change = Callable[[Trial], Trial]


def _unchanged(trial: Trial) -> Trial:
    return trial


def _swapped(trial: Trial) -> Trial:
    return replace(trial, adaptive=trial.ddim)


def _a_mode_thinned(trial: Trial) -> Trial:
    """Two thirds of the samples of the first mode lost."""
    modes = trial.adaptive.modes.copy()
    modes[0] //= 3
    expected = trial.adaptive.expected * modes.sum() / trial.adaptive.modes.sum()
    chi_square = float((np.square(modes - expected) / expected).sum())
    thinned = replace(trial.adaptive, modes=modes, expected=expected, chi_square=chi_square)
    return replace(trial, adaptive=thinned)


def _wider(trial: Trial) -> Trial:
    return replace(trial, adaptive=replace(trial.adaptive, spread=1.5 * trial.adaptive.spread))


CONTROLS: Mapping[str, Change] = {
    "DDIM in place of AdaptiveNoise": _swapped,
    "two thirds of one mode's samples lost": _a_mode_thinned,
    "samples spread 1.5 times as wide": _wider,
}


def judge_sampler(
    claim: Claim, case: Case, models: Sequence[TrainedModel], *, change: Change = _unchanged
) -> Verdict:
    """The learned row. change: made to every trial (a mutant)."""
    trials = [change(trial) for trial in _trials(case, models)]
    finding = Finding(
        comparisons=[*_together(trials), *(c for trial in trials for c in compare_trial(trial))],
        nonvacuous_share=1.0,
        witness=lambda found: {"compared": found.name, "seed": case.stream("rates")},
        unit="samples",
        tables=[_table(trials), case.memo("X8 eta", lambda: _over_noised(case, models))],
        model=", ".join(trial.model for trial in trials),
        note=_note(trials),
        numbers=_numbers(trials),
    )
    return claim.judge(case, finding, Basis.LEARNED)


def sampler_mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """Other samples under AdaptiveNoise's name."""
    measures = {
        name: functools.partial(judge_sampler, claim, case, change=change)
        for name, change in CONTROLS.items()
    }
    return learned_mutants(claim, case, measures)


def compare_trial(trial: Trial) -> list[Comparison]:
    """What the claim says of one model."""
    adaptive, ddpm, name = trial.adaptive, trial.ddpm, trial.model
    found = [
        compare_order(
            f"DDIM above AdaptiveNoise, {name}", trial.ddim.interpolation, adaptive.interpolation
        ),
        compare(f"evaluations, {name}", Upper(rtol=1e-12), adaptive.n_eval, EVALUATIONS),
    ]
    if ddpm is None:
        return found
    lost = tuple(end + WEIGHT_MARGIN for end in ddpm.weight_interval())
    away = sorted(abs(end - 1.0) for end in ddpm.spread_interval())
    return [
        *found,
        compare_not_worse(
            f"AdaptiveNoise's rate, DDPM's, {name}", adaptive.interpolation, ddpm.interpolation
        ),
        compare_weights(f"error of the weights, {name}", adaptive, (lost[0], lost[1])),
        compare_spread(f"spread/σ, {name}", adaptive, (away[0], away[1])),
    ]


def _sums(trials: Sequence[Trial]) -> tuple[Proportion, Proportion] | None:
    """Interpolations of AdaptiveNoise and of DDPM over the case's own models."""
    own = [(t.adaptive.interpolation, t.ddpm.interpolation) for t in trials if t.own and t.ddpm]
    if not own:
        return None
    adaptive, ddpm = (Proportion.pooled(side) for side in zip(*own, strict=True))
    return adaptive, ddpm


def _together(trials: Sequence[Trial]) -> list[Comparison]:
    """The rates over all of the case's models, each with as many samples as the others."""
    sums = _sums(trials)
    if sums is None or sum(trial.own for trial in trials) < 2:
        return []
    return [compare_not_worse("AdaptiveNoise's rate, DDPM's, these models together", *sums)]


def _note(trials: Sequence[Trial]) -> str:
    sums, rule = _sums(trials), NotWorse()
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
    n, rows = case.pick(1_000, 20_000), []
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
