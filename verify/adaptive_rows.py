"""AdaptiveNoise on trained networks: its rate, weights and spread beside those of DDIM and DDPM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixdyn.adaptive import AdaptiveNoise
from mixdyn.geometry import Region, classify, two_nearest
from mixdyn.mixture import GaussianMixture
from mixdyn.samplers import DDPM, Sampler
from mixdyn.sampling import sample
from mixdyn.statistics import VERDICT_MISS, Proportion
from mixdyn.validation import Array, IntArray

from .claim import Basis, Case, Claim, Finding, Table, Verdict
from .models import TrainedModel, learned_rows
from .rates import compare_order, ddim
from .relations import Comparison, Outcome, Statistical, Upper, compare

EVALUATIONS = 50
_SAMPLES = {"AdaptiveNoise": (20_000, 200_000), "DDIM": (8_000, 100_000), "DDPM": (3_000, 40_000)}


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
    codes = classify(mixture, x)
    inside = x[codes == Region.TRUE_MODE]
    nearest = two_nearest(mixture.means, inside)[0] if len(inside) else np.empty(0, int)
    modes = np.bincount(nearest, minlength=mixture.N)
    expected = mixture.weights * max(len(inside), 1)
    away = (inside - mixture.means[nearest]) / mixture.sigmas[nearest, None]
    return Ends(
        counts=np.bincount(codes, minlength=len(Region)),
        modes=modes,
        chi_square=float((np.square(modes - expected) / expected).sum()),
        spread=float(np.sqrt(np.square(away).mean())) if len(inside) else float("nan"),
        n_eval=n_eval,
    )


@dataclass(frozen=True)
class Trial:
    """One model under the three samplers, and AdaptiveNoise's weights on as many samples as
    DDPM's."""

    model: str
    adaptive: Ends
    ddim: Ends
    ddpm: Ends
    adaptive_head: Ends


def _samplers(case: Case) -> dict[str, Sampler]:
    steps = min(AdaptiveNoise().steps, case.schedule.T)
    return {
        "AdaptiveNoise": AdaptiveNoise(steps, checks=min(AdaptiveNoise().checks, steps)),
        "DDIM": ddim(case.schedule),
        "DDPM": DDPM(),
    }


def _trial(case: Case, model: TrainedModel) -> Trial:
    found, head = {}, None
    for name, sampler in _samplers(case).items():
        n = case.pick(*_SAMPLES[name])
        run = sample(model.score, case.schedule, sampler, n=n, rng=case.stream("rates"))
        x = np.asarray(run.x)
        found[name] = ends_of(case.mixture, x, run.n_eval)
        if name == "AdaptiveNoise":
            head = ends_of(case.mixture, x[: case.pick(*_SAMPLES["DDPM"])], run.n_eval)
    assert head is not None
    return Trial(model.name, found["AdaptiveNoise"], found["DDIM"], found["DDPM"], head)


def _trials(case: Case, models: Sequence[TrainedModel]) -> list[Trial]:
    return case.memo("X8 trials", lambda: [_trial(case, model) for model in models])


def judge_sampler(
    claim: Claim, case: Case, models: Sequence[TrainedModel], *, swapped: bool = False
) -> Verdict:
    """The learned row. swapped: DDIM's samples under AdaptiveNoise's name (a mutant)."""
    trials = _trials(case, models)
    if swapped:
        trials = [replace(t, adaptive=t.ddim, adaptive_head=t.ddim) for t in trials]
    comparisons = [c for trial in trials for c in _compare(case, trial)]
    finding = Finding(
        comparisons=comparisons,
        nonvacuous_share=1.0,
        witness=lambda found: {"compared": found.name, "seed": case.stream("rates")},
        unit="samples",
        tables=[_table(case, trials)],
        model=", ".join(trial.model for trial in trials),
        note="Not above DDPM means that no pair of intervals says so.",
    )
    return claim.judge(case, finding, Basis.LEARNED)


def sampler_mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """DDIM's samples under the adaptive sampler's name."""
    rows = learned_rows(
        claim, case, lambda models: judge_sampler(claim, case, models, swapped=True)
    )
    return dict(zip(["DDIM in place of AdaptiveNoise"], rows, strict=False))


def _compare(case: Case, trial: Trial) -> list[Comparison]:
    adaptive, ddpm, name = trial.adaptive, trial.ddpm, trial.model
    below = compare_order(
        f"DDIM above AdaptiveNoise, {name}", trial.ddim.interpolation, adaptive.interpolation
    )
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
    limit = max(ddpm.chi_square, _chi_square_limit(case))
    exact = Upper(rtol=1e-12)
    return [
        below,
        not_above,
        compare(f"evaluations, {name}", exact, adaptive.n_eval, EVALUATIONS),
        compare(f"chi-square of the weights, {name}", exact, trial.adaptive_head.chi_square, limit),
        compare(
            f"|spread/σ - 1|, {name}", exact, abs(adaptive.spread - 1.0), abs(ddpm.spread - 1.0)
        ),
    ]


def _chi_square_limit(case: Case) -> float:
    from scipy.stats import chi2

    return float(chi2.isf(VERDICT_MISS, max(case.mixture.N - 1, 1)))


def _table(case: Case, trials: Sequence[Trial]) -> Table:
    rows = []
    for trial in trials:
        for name in ("AdaptiveNoise", "DDIM", "DDPM"):
            ends: Ends = getattr(trial, name.lower() if name != "AdaptiveNoise" else "adaptive")
            rate, n = ends.interpolation, int(ends.counts.sum())
            invalid = float(ends.counts[Region.INVALID] / n)
            freedom = max(case.mixture.N - 1, 1)
            # What the statistic exceeds its mean by, per sample: free of how many were drawn.
            excess = (ends.chi_square - freedom) / n
            cells = (rate.rate, *rate.interval(), invalid, excess, ends.spread)
            rows.append((trial.model, name, n, ends.n_eval, *cells))
    columns = (
        *("model", "sampler", "samples", "evaluations", "interpolation", "from", "to"),
        *("invalid", "weight error", "spread/σ"),
    )
    caption = "Rates with 95 % intervals; weight error: (chi-square - degrees)/samples"
    return Table(caption, columns, rows)
