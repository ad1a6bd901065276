"""Rare events: against the law of the chain on product grids, and against counts elsewhere."""

import math

import numpy as np
import pytest

from mixdyn import oracles, presets, rare_event, sample
from mixdyn.geometry import Between
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.rare import RareEvent, _result
from mixdyn.samplers import DDIM, Hybrid
from mixdyn.support.errors import InputError, NotApplicableError
from verify.measure.insurance.chains import CappedDDIM

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear()
SHORT = NoiseSchedule.linear(60, 1e-3, 0.25)
LINE = GaussianMixture([[0.0], [1.0], [2.2]], 0.05, [0.5, 0.3, 0.2])
UNEVEN = GaussianMixture(
    [[x, y] for x in (0.0, 1.6, 3.4) for y in (0.0, 1.7)],
    0.012,
    [p * q for p in (0.5, 0.3, 0.2) for q in (0.7, 0.3)],
)
MISS = 1e-8  # with which a right estimate is taken for a wrong one, a comparison


def log_tubes(mixture, sampler, half, schedule=SCHEDULE):
    """Log of the probability of all gaps by the law of the chain, coordinate by coordinate: one is
    between two neighbouring values, within `half` of their distance of the middle, the others
    within five sigma of a value."""
    plan = sampler.plan(schedule, sampler.grid(schedule))
    change = 1.0 - schedule.rho[plan.s] / schedule.rho[plan.t]
    laws = oracles.chain_law(
        mixture,
        schedule.alpha_bar,
        plan.grid.times,
        np.sqrt(plan.share / change)[:-1],
        noise_var=schedule.noise_var,
    )

    def between(law, low, high):
        return np.logaddexp.reduce(law.log_probability(law.pull_back(low), law.pull_back(high)))

    radius, total = 5.0 * float(mixture.sigma), []
    for law in laws:
        values = law.axis.values
        middle, wide = 0.5 * (values[1:] + values[:-1]), half(np.diff(values))
        near = [other.axis.values for other in laws if other is not law]
        log_p = between(law, middle - wide, middle + wide)
        for other, at in zip([o for o in laws if o is not law], near, strict=True):
            log_p += between(other, at - radius, at + radius)
        total.append(log_p)
    return float(np.logaddexp.reduce(total))


CASES = {
    "1e-6, a line of unequal weights": (LINE, 1.0, Between()),
    "1e-9": (LINE, 1.2, Between(share=0.3)),
    "1e-5": (LINE, 0.5, Between()),
    "1e-10, the papers' grid": (presets.grid(), 1.0, Between()),
    "1e-15": (presets.grid(), 0.5, Between(share=0.3)),
    "1e-30, unequal weights in the plane": (UNEVEN, 1.5, Between(share=0.3)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_law_of_the_chain_on_product_grids(name):
    mixture, eta, event = CASES[name]
    sampler, sigma = CappedDDIM(50, eta=eta), float(mixture.sigma)
    share = event.share
    exact = log_tubes(
        mixture, sampler, lambda gap: 0.5 * share * gap if share else 0.5 * gap - 5.0 * sigma
    )
    found = rare_event(mixture, SCHEDULE, sampler, event, rng=1)
    low, high = found.interval(MISS)
    assert found.relative_error <= 0.1
    assert low <= exact <= high
    assert high - low < 2.0  # nats, where the whole is 12 to 70: a chain next to it is farther off
    other = log_tubes(
        mixture,
        CappedDDIM(50, eta=1.3 * eta),
        lambda gap: 0.5 * share * gap if share else 0.5 * gap - 5.0 * sigma,
    )
    assert not low <= other <= high


def test_a_rarity_of_1e_30_is_one():
    mixture, eta, event = CASES["1e-30, unequal weights in the plane"]
    found = rare_event(mixture, SCHEDULE, CappedDDIM(50, eta=eta), event, rng=2)
    assert -80.0 < found.log_p < -65.0
    assert found.relative_error <= 0.1


DIAMOND = GaussianMixture([[1.0, 0.0], [-1.0, 0.0], [0.1, 0.9], [0.0, -0.8]], 0.11)
THREE = GaussianMixture(
    np.random.default_rng(4).standard_normal((4, 3)), 0.15, [0.4, 0.3, 0.2, 0.1]
)


@pytest.mark.parametrize("mixture", [DIAMOND, THREE], ids=["diamond", "three dimensions"])
@pytest.mark.parametrize("eta", [0.6, 1.0])
def test_counts_off_product_grids(mixture, eta):
    event, sampler, n = Between(radius=3.0 * float(mixture.sigma)), DDIM(20, eta=eta), 400_000
    end = np.asarray(sample(mixture, SHORT, sampler, n=n, rng=5).x)
    count = int(event.holds(mixture, end).sum())
    found = rare_event(mixture, SHORT, sampler, event, rng=6, rel=0.03, n=400)
    assert count > 50
    low, high = (math.exp(part) for part in found.interval(MISS))
    spread = 6.0 * math.sqrt(count)
    assert (count - spread) / n <= high
    assert (count + spread) / n >= low
    assert high < 2.0 * low


def test_a_hybrid_from_one_state_agrees_with_its_counts():
    sampler, t = Hybrid(z=6, base=DDIM(12, "uniform")), 30
    x = SHORT.alpha[t] * np.array([0.55, 0.45])
    event = Between(share=0.5, pairs=((0, 2),))
    end = sample(DIAMOND, SHORT, sampler, x=np.tile(x, (200_000, 1)), start=t, rng=7)
    count = int(event.holds(DIAMOND, np.asarray(end.x)).sum())
    found = rare_event(DIAMOND, SHORT, sampler, event, x=x, start=t, rng=8, rel=0.05, n=400)
    assert count > 50
    low, high = (200_000 * math.exp(part) for part in found.interval(MISS))
    assert count - 6.0 * math.sqrt(count) <= high
    assert count + 6.0 * math.sqrt(count) >= low


def test_the_same_seed_gives_the_same_bits_and_work_is_counted():
    seen = []

    def once():
        return rare_event(
            DIAMOND, SHORT, DDIM(20, eta=1.0), rng=3, n=50, progress=lambda *at: seen.append(at)
        )

    a, b = once(), once()
    assert a.log_p == b.log_p
    assert a.runs.tobytes() == b.runs.tobytes()
    assert a.evaluations == 20 * 50 * len(a.runs)
    assert seen[0] == (24, 24)
    assert seen[-1][0] == seen[-1][1] == len(b.runs)
    total = np.logaddexp.reduce(list(a.by_pair.values()))
    assert total == pytest.approx(a.log_p, abs=1e-12)


def test_the_budget_bounds_the_runs():
    found = rare_event(
        DIAMOND, SHORT, DDIM(20, eta=1.0), rng=3, n=20, rel=1e-3, budget=20 * 20 * 31
    )
    assert len(found.runs) == 31
    assert found.relative_error > 1e-3


LIGHT = GaussianMixture([[0.0], [1.0], [3.0]], 0.05, [1.0, 1e-12, 0.2])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("schedule", "steps"), [(SHORT, 20), (SCHEDULE, 50)], ids=["short", "papers'"]
)
def test_beside_a_mode_of_hardly_any_weight_the_error_is_the_error(schedule, steps, seed):
    """Next to it the separatrix of a pair lies beyond a third mode until late: paths tilted by the
    pair alone missed half of the probability, eleven of their own standard errors."""
    sampler = CappedDDIM(steps, eta=1.0)
    exact = log_tubes(LIGHT, sampler, lambda gap: 0.5 * gap - 5.0 * 0.05, schedule)
    found = rare_event(LIGHT, schedule, sampler, rng=seed)
    low, high = found.interval(1e-6)
    assert found.relative_error <= 0.1
    assert low <= exact <= high
    assert high - low < 1.6


def test_a_start_far_from_the_marginal_is_met_by_enough_runs():
    """Five steps: of two dozen runs none may take the paths that matter."""
    few = NoiseSchedule.linear(5, 1e-2, 0.6)
    sampler = CappedDDIM(5, eta=1.0)
    exact = log_tubes(LINE, sampler, lambda gap: 0.5 * gap - 5.0 * 0.05, few)
    for seed in range(4):
        found = rare_event(LINE, few, sampler, rng=seed, rel=0.03)
        low, high = found.interval(MISS)
        assert low <= exact <= high
        assert math.isinf(found.relative_error) or high - low < 0.5


def test_runs_without_a_mean_have_no_error_and_others_do():
    heavy, light = (
        np.log(np.random.default_rng(5).pareto(index, (500, 1)) + 1e-9) for index in (1.0, 10.0)
    )
    gap = Between().gaps(LINE)[:1]
    for runs, known in ((heavy, False), (light, True)):
        found = _result(runs - 20.0, gap, 1, 0)
        assert math.isfinite(found.relative_error) is known
        assert (found.interval() == (-math.inf, 0.0)) is not known


def test_nothing_found_is_an_interval_up_to_one():
    nothing = RareEvent(-math.inf, np.full(8, -math.inf), math.inf, 1, {}, 0)
    assert nothing.interval() == (-math.inf, 0.0)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"rel": 0.0}, "rel"),
        ({"n": 1}, "n"),
        ({"budget": 100}, "budget"),
        ({"x": [0.0]}, "shape"),
    ],
)
def test_bad_numbers_get_one_line(given, rule):
    with pytest.raises(InputError, match=rule) as refused:
        rare_event(DIAMOND, SHORT, DDIM(20, eta=1.0), **given)
    assert "\n" not in str(refused.value)


def test_what_has_no_rare_event_is_refused():
    near = GaussianMixture([[0.0], [0.5]], 0.1)
    unlike = GaussianMixture([[0.0], [5.0]], [0.1, 0.2])
    with pytest.raises(NotApplicableError, match="without noise"):
        rare_event(DIAMOND, SHORT, DDIM(20))
    with pytest.raises(NotApplicableError, match="room"):
        rare_event(near, SHORT, DDIM(20, eta=1.0))
    deep, t = Hybrid(z=2, base=DDIM(50)), 40
    x, event = np.array([0.5 * SCHEDULE.alpha[t]]), Between(share=0.1, pairs=((0, 1),))
    with pytest.raises(NotApplicableError, match="rounding"):
        rare_event(GaussianMixture([[0.0], [1.0]], 0.01), SCHEDULE, deep, event, x=x, start=t)
    with pytest.raises(NotApplicableError, match="sigma"):
        rare_event(unlike, SHORT, DDIM(20, eta=1.0))
    far = GaussianMixture([[0.0], [1e6], [3e6]], 0.05)
    with pytest.raises(NotApplicableError, match="at most 20,000,000 places") as refused:
        rare_event(far, SCHEDULE, DDIM(50, eta=1.0))
    assert "\n" not in str(refused.value)


def test_a_gap_has_a_radius_or_a_share():
    for wrong in ({"radius": 0.0}, {"share": 1.0}, {"radius": 0.1, "share": 0.3}):
        with pytest.raises(InputError):
            Between(**wrong)


def test_gaps_are_those_of_neighbours():
    square = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], 0.02)
    assert [(g.i, g.j) for g in Between().gaps(square)] == [(0, 1), (0, 3), (1, 2), (2, 3)]
    row = GaussianMixture([[0.0], [1.0], [2.0]], 0.02)
    assert [(g.i, g.j) for g in Between().gaps(row)] == [(0, 1), (1, 2)]
    points = np.array([[0.5, 0.0], [0.5, 0.05], [0.5, 0.2], [0.05, 0.0], [0.5, 0.45]])
    assert Between().holds(square, points).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("options", [{"event": 3}, {"event": "all"}, {"sampler": DDIM}])
def test_what_is_no_event_or_no_sampler_is_one_line(options):
    given = {"sampler": DDIM(eta=1.0, steps=5), "event": None} | options
    with pytest.raises(InputError, match="received"):
        rare_event(presets.line(), NoiseSchedule.linear(T=10), rng=0, **given)


@pytest.mark.parametrize(
    ("d", "event"), [(1, Between()), (2, Between()), (2, Between(share=0.3)), (2, Between(0.1))]
)
def test_a_point_mass_has_no_radius_for_a_gap(d, event):
    means = np.eye(1, d) * np.array([[-1.0], [1.0]])
    with pytest.raises(NotApplicableError, match="point masses"):
        event.gaps(GaussianMixture(means, 0.0))


def test_on_a_line_a_gap_beside_point_masses_is_named():
    points = GaussianMixture([[-1.0], [1.0]], 0.0)
    (gap,) = Between(share=0.3).gaps(points)
    assert gap.half == pytest.approx(0.3)
    assert not Between(0.1).holds(points, [[-1.0], [1.0]]).any()
