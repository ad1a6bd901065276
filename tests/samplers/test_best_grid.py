"""The grid of the least price is the least of all grids, and runs as a spacing."""

import itertools

import numpy as np
import pytest

import mixdyn
from mixdyn import DDIM, DDPM, Hybrid, NoiseSchedule, TimeGrid, best_grid, oracles, presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.samplers.best_grid import cheapest_nodes, settled
from mixdyn.support.errors import InputError

LINE = GaussianMixture([[-1.0], [0.0], [1.3]], 0.1, [0.3, 0.3, 0.4])
SHORT = NoiseSchedule.linear(T=8, beta_start=0.01, beta_end=0.9)


def test_the_nodes_are_the_cheapest_of_all():
    rng = np.random.default_rng(3)
    for _ in range(60):
        m = 8
        g, slopes = np.cumsum(rng.random(m)), np.sort(rng.random(m).round(1))[::-1]
        starts = 0.3 * rng.random(m)
        for count in (2, 3, 5, 8):

            def cost(nodes, starts=starts, slopes=slopes, g=g):
                steps = sum(slopes[a] * (g[b] - g[a]) for a, b in itertools.pairwise(nodes))
                return starts[nodes[0]] + steps

            every = itertools.combinations(range(m - 1), count - 1)
            least = min(cost((*nodes, m - 1)) for nodes in every)
            found = cheapest_nodes(starts, slopes, g, count)
            assert len(found) == count
            assert found[-1] == m - 1
            assert cost(found) == pytest.approx(least, rel=1e-12)


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_no_grid_of_as_many_steps_costs_less(steps):
    """By the price of every grid, start and steps, from Fisher information and entropy."""

    def cost(times):
        rho = SHORT.rho[list(times)]
        start = mixdyn.price(LINE, SHORT, DDIM(spacing=TimeGrid([times[0], 0]), eta=1.0)).start
        return start + (oracles.grid_price(LINE, rho).sum() if len(times) > 1 else 0.0)

    every = itertools.combinations(range(8, 1, -1), steps - 1)
    least = min(cost((*times, 1)) for times in every)
    found = best_grid(LINE, SHORT, steps, start_nats=np.inf)
    assert found.steps == steps
    assert cost(found.times[:-1].tolist()) == pytest.approx(least, rel=1e-9)


def test_the_standard_problem_pays_half_of_the_quadratic_grid():
    grid, schedule = presets.grid(), NoiseSchedule.linear()
    for steps, factor in ((10, 3.0), (20, 2.4), (50, 2.1), (100, 2.0)):
        best = mixdyn.price(grid, schedule, DDIM(steps, "price", eta=1.0))
        usual = mixdyn.price(grid, schedule, DDIM(steps, eta=1.0))
        assert usual.total > factor * best.total
        assert best.start < 1e-3
        assert len(best.by_step) == steps - 1
        least = best_grid(grid, schedule, steps, start_nats=np.inf)
        assert mixdyn.price(grid, schedule, DDIM(spacing=least, eta=1.0)).total < best.total


def test_a_schedule_without_noise_at_its_end_starts_where_it_costs_least():
    short = NoiseSchedule.linear(T=40)
    assert best_grid(LINE, short, 10).times[0] == 40


def test_many_steps_reach_the_limit_of_the_density():
    """(int sqrt(-d mmse/dg) dg)^2/(4 K), of one mode, mmse = 1/(1 + g)."""
    g = np.geomspace(0.01, 100.0, 6000)
    free_start = np.where(np.arange(len(g)) == 0, 0.0, np.inf)
    nodes = cheapest_nodes(free_start, 0.5 / (1.0 + g), g, 201)
    steps = (0.5 / (1.0 + g[nodes[:-1]])) @ np.diff(g[nodes])
    folds = np.log((1.0 + g[-1]) / (1.0 + g[0]))
    assert 200 * (steps - 0.5 * folds) == pytest.approx(folds**2 / 4.0, rel=0.01)


def test_it_is_a_spacing_of_samplers_that_know_the_mixture():
    grid = best_grid(LINE, SHORT, 5)
    run = mixdyn.sample(LINE, SHORT, DDIM(5, "price", eta=1.0), n=10, rng=0)
    assert run.times.tolist() == grid.times.tolist()
    held = settled(Hybrid(z=1, base=DDIM(5, "price")), LINE, SHORT)
    assert held.base.spacing == grid
    assert settled(DDPM(), LINE, SHORT) == DDPM()
    with pytest.raises(InputError, match="best_grid"):
        DDIM(5, "price").grid(SHORT)


@pytest.mark.compiled
def test_any_mixture_has_one():
    points = GaussianMixture.from_data(np.random.default_rng(1).standard_normal((40, 8)))
    schedule = NoiseSchedule.linear()
    best = mixdyn.price(points, schedule, DDIM(12, "price", eta=1.0))
    usual = mixdyn.price(points, schedule, DDIM(12, eta=1.0))
    assert best.total + 6.0 * best.error < usual.total - 6.0 * usual.error


def test_ends_and_counts_are_checked():
    assert best_grid(LINE, SHORT, 1).times.tolist() == [8, 0]
    assert best_grid(LINE, SHORT, 8) == TimeGrid.full(8)
    assert best_grid(LINE, SHORT, 4, last=3).times[-2] == 3
    for wrong in ({"steps": 9}, {"steps": 0}, {"steps": 4, "last": 9}):
        with pytest.raises(InputError):
            best_grid(LINE, SHORT, **wrong)
