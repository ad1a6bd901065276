"""AdaptiveNoise on trained networks: its rate, weights and spread beside those of DDIM and DDPM."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixdyn.adaptive import AdaptiveNoise
from mixdyn.geometry import Region, within_modes
from mixdyn.mixture import GaussianMixture
from mixdyn.samplers import DDPM, Sampler
from mixdyn.sampling import sample
from mixdyn.schedule import NoiseSchedule
from mixdyn.statistics import VERDICT_MISS, Proportion
from mixdyn.validation import Array, IntArray

from ..claim import Basis, Case, Claim, Finding, Profile, Table, Verdict
from ..relations import Comparison, Outcome, Statistical, Upper, compare
from .models import TrainedModel, elsewhere, learned_mutants, load
from .rate_sweeps import largest_eta, within_mode_std
from .rates import compare_order, ddim

EVALUATIONS = 50
_STEPS, _ETAS = (20, 50, 100), (0.0, 0.5, 1.0, 1.25, 1.5)
_SAMPLES = {"AdaptiveNoise": (12_000, 200_000), "DDIM": (8_000, 100_000), "DDPM": (2_000, 40_000)}


@dataclass(frozen=True)
class Ends:
    """What one sampler makes of one model.

    counts (3,) by `Region`; modes (N,) true-mode samples per mode; chi_square of them against the
    mixture's weights; spread within the modes over sigma; n_eval evaluations a sample.
    """

    counts: IntArray
    modes: IntArray
    chi_square: float
    spread: float
    n_eval: float

    @property
    def interpolation(self) -> Proportion:
        """The share of interpolations."""
        return Proportion(int(self.counts[Region.INTERPOLATION]), int(self.counts.sum()))


def ends_of(mixture: GaussianMixture, x: Array, n_eval: float) -> Ends:
    """Classify final samples x (n, d)."""
    codes, nearest, offset = within_modes(mixture, x)
    modes = np.bincount(nearest, minlength=mixture.N)
    expected = mixture.weights * max(len(nearest), 1)
    away = offset / mixture.sigmas[nearest, None]
    return Ends(
        counts=np.bincount(codes, minlength=len(Region)),
        modes=modes,
        chi_square=float((np.square(modes - expected) / expected).sum()),
        spread=float(np.sqrt(np.square(away).mean())) if len(nearest) else float("nan"),
        n_eval=n_eval,
    )


@dataclass(frozen=True)
class Trial:
    """One model under AdaptiveNoise, DDIM and DDPM, and AdaptiveNoise's weights on as many samples
    as DDPM's. N modes. ddpm is None where the profile has no time for it."""

    model: str
    N: int
    adaptive: Ends
    ddim: Ends
    ddpm: Ends | None
    adaptive_head: Ends


def adaptive_for(schedule: NoiseSchedule) -> AdaptiveNoise:
    """AdaptiveNoise as it is, with fewer steps where the schedule has not that many."""
    usual = AdaptiveNoise()
    steps = min(usual.steps, schedule.T)
    return AdaptiveNoise(steps)


def _ends(problem: Case, model: TrainedModel, sampler: Sampler, n: int) -> tuple[Ends, Array]:
    run = sample(model.score, problem.schedule, sampler, n=n, rng=problem.stream("rates"))
    x = np.asarray(run.x)
    return ends_of(problem.mixture, x, run.n_eval), x


def _trial(problem: Case, model: TrainedModel, *, with_ddpm: bool) -> Trial:
    counts = {name: problem.pick(*sizes) for name, sizes in _SAMPLES.items()}
    adaptive, x = _ends(problem, model, adaptive_for(problem.schedule), counts["AdaptiveNoise"])
    few, _ = _ends(problem, model, ddim(problem.schedule), counts["DDIM"])
    every = _ends(problem, model, DDPM(), counts["DDPM"])[0] if with_ddpm else None
    head = ends_of(problem.mixture, x[: counts["DDPM"]], adaptive.n_eval)
    return Trial(model.name, problem.mixture.N, adaptive, few, every, head)


def _trials(case: Case, models: Sequence[TrainedModel]) -> list[Trial]:
    """The case's models; on the standard problem also the shipped networks of other problems, on
    which nothing about the sampler was chosen but the median in `mixdyn.calibration`."""

    def measure() -> list[Trial]:
        trials = [_trial(case, model, with_ddpm=True) for model in models]
        if case.name != "standard":
            return trials
        full = case.profile is Profile.FULL
        others = [(problem, load(checkpoint)) for problem, checkpoint in elsewhere(case)]
        return trials + [_trial(problem, model, with_ddpm=full) for problem, model in others]

    return case.memo("X8 trials", measure)


def judge_sampler(
    claim: Claim, case: Case, models: Sequence[TrainedModel], *, swapped: bool = False
) -> Verdict:
    """The learned row. swapped: DDIM's samples under AdaptiveNoise's name (a mutant)."""
    trials = _trials(case, models)
    if swapped:
        trials = [replace(t, adaptive=t.ddim, adaptive_head=t.ddim) for t in trials]
    comparisons = [c for trial in trials for c in _compare(trial)]
    finding = Finding(
        comparisons=comparisons,
        nonvacuous_share=1.0,
        witness=lambda found: {"compared": found.name, "seed": case.stream("rates")},
        unit="samples",
        tables=[_table(trials), case.memo("X8 eta", lambda: _over_noised(case, models))],
        model=", ".join(trial.model for trial in trials),
        note="Not above DDPM means that no pair of intervals says so. Networks of other problems "
        "are held against DDPM in the full profile only.",
    )
    return claim.judge(case, finding, Basis.LEARNED)


def sampler_mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """DDIM's samples under the adaptive sampler's name."""
    swapped = functools.partial(judge_sampler, claim, case, swapped=True)
    return learned_mutants(claim, case, {"DDIM in place of AdaptiveNoise": swapped})


def _compare(trial: Trial) -> list[Comparison]:
    adaptive, ddpm, name, exact = trial.adaptive, trial.ddpm, trial.model, Upper(rtol=1e-12)
    found = [
        compare_order(
            f"DDIM above AdaptiveNoise, {name}", trial.ddim.interpolation, adaptive.interpolation
        ),
        compare(f"evaluations, {name}", exact, adaptive.n_eval, EVALUATIONS),
    ]
    if ddpm is None:
        return found
    above = compare_order(
        f"AdaptiveNoise above DDPM, {name}", adaptive.interpolation, ddpm.interpolation
    )
    # Shown to be above is a failure, anything else is what the statement says.
    worse = above.outcome is Outcome.HOLDS
    not_above = replace(
        above,
        name=f"AdaptiveNoise not above DDPM, {name}",
        relation=Statistical("upper"),
        outcome=Outcome.FAILS if worse else Outcome.HOLDS,
    )
    limit = max(ddpm.chi_square, _chi_square_limit(trial.N))
    return [
        *found,
        not_above,
        compare(f"chi-square of the weights, {name}", exact, trial.adaptive_head.chi_square, limit),
        compare(
            f"|spread/σ - 1|, {name}", exact, abs(adaptive.spread - 1.0), abs(ddpm.spread - 1.0)
        ),
    ]


def _chi_square_limit(n_modes: int) -> float:
    from scipy.stats import chi2

    return float(chi2.isf(VERDICT_MISS, max(n_modes - 1, 1)))


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
    # What the statistic exceeds its mean by, per sample: free of how many were drawn.
    excess = (ends.chi_square - (trial.N - 1)) / n
    invalid = float(ends.counts[Region.INVALID] / n)
    cells = (rate.rate, *rate.interval(), invalid, excess, ends.spread)
    return (trial.model, name, n, ends.n_eval, *cells)


def _over_noised(case: Case, models: Sequence[TrainedModel]) -> Table:
    """What more noise buys and costs: DDIM(eta) with few steps, and the price by the recursion."""
    n, rows = case.pick(1_000, 20_000), []
    for steps in (s for s in _STEPS if s <= case.schedule.T):
        for eta in (eta for eta in _ETAS if eta <= largest_eta(case.schedule, steps)):
            ends = [_ends(case, model, ddim(case.schedule, steps, eta), n)[0] for model in models]
            hits = Proportion(
                int(sum(e.counts[Region.INTERPOLATION] for e in ends)), n * len(models)
            )
            excess = float(np.mean([(e.chi_square - (case.mixture.N - 1)) / n for e in ends]))
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
