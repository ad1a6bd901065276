"""X14: the nearest Gaussian kernel by search and by draws, and how networks are judged."""

import dataclasses

import numpy as np
import pytest

import mixdyn
from mixdyn import GaussianMixture, NoiseSchedule, TimeGrid, presets
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.rows import row_of
from verify.measure import reverse_kernels
from verify.measure.ends import ends_of
from verify.measure.networks import checked_rows, ddpm_ends, groups
from verify.measure.networks.models import shipped
from verify.papers.own.claims import x_14_kernel as x14

PROBLEMS = {
    "grid": presets.grid(),
    "one mode": GaussianMixture([[0.5, -0.2]], 0.3),
    "line of widths": GaussianMixture([[0.0], [1.0], [3.0]], [0.05, 0.2, 0.1], [0.1, 0.3, 0.6]),
    "turned pair": GaussianMixture([[-0.4, -0.3, 0.2], [0.5, 0.4, 0.1]], 0.15, [0.4, 0.6]),
}


def case_of(name):
    return Case(name, PROBLEMS[name], NoiseSchedule.linear(), random=True)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_nearest_kernel_is_the_stated_one_and_no_mutant_is(name):
    case = case_of(name)
    assert row_of(x14.CLAIM, case, x14.kernel).verdict is Outcome.HOLDS
    for wrong in ({"posterior": 0.5}, {"power": 1}, {"posterior": 1.00001}):
        assert row_of(x14.CLAIM, case, x14.kernel, **wrong).verdict is Outcome.FAILS


def test_shapes_cost_what_is_stated_where_they_differ():
    case = case_of("turned pair")
    row = row_of(x14.CLAIM, case, x14.shapes)
    assert row.verdict is Outcome.HOLDS
    # Something is at stake: on this pair both shapes cost many standard errors.
    assert row_of(x14.CLAIM, case, x14.shapes, share=0.8).verdict is Outcome.FAILS
    line = row_of(x14.CLAIM, case_of("line of widths"), x14.shapes)
    assert line.verdict is Outcome.NOT_APPLICABLE


def test_the_search_finds_the_moments_of_a_density():
    """Of a mixture of two normals, known in closed form, off the middle of the nodes."""
    x = np.linspace(-12.0, 13.0, 6001)
    density = (
        0.3 * np.exp(-0.5 * (x + 1.0) ** 2) + 0.7 * np.exp(-0.5 * ((x - 2.0) / 0.5) ** 2) / 0.5
    )
    density /= np.sqrt(2.0 * np.pi)
    line = reverse_kernels.Line(x, (x[1] - x[0]) * density, np.log(density))
    mean, var, least = reverse_kernels.nearest(line, 1.0)
    assert mean == pytest.approx(1.1, abs=1e-9)
    assert var == pytest.approx(0.3 + 0.7 * 0.25 + 0.21 * 9.0, rel=1e-6)
    assert least == pytest.approx(line.divergence(mean, var), abs=1e-12)
    assert line.divergence(mean, 1.01 * var) > least


@pytest.mark.parametrize("grid", [[1000, 0], [900, 400, 3, 0], [50, 20, 1, 0]], ids=str)
def test_a_mode_keeps_its_width_on_any_grid_and_loses_it_with_the_bridge_alone(grid):
    schedule, times = NoiseSchedule.linear(), TimeGrid(grid, 1000)
    assert reverse_kernels.engine_std(schedule, times, 0.3) == pytest.approx(1.0, abs=1e-8)
    assert reverse_kernels.recursion_std(schedule, times, 0.3, 1.0, 2) == pytest.approx(1.0)
    assert reverse_kernels.recursion_std(schedule, times, 0.3, 0.0, 2) < 0.99


def test_kernels_nearer_by_shape_cost_less_on_whole_paths():
    found = reverse_kernels.nats_of(case_of("turned pair"), 10, 200, 20)
    noisy = [found[name][0] for name in ("full", "diagonal", "isotropic", "average", "eta = 1")]
    assert noisy == sorted(noisy)
    assert found["eta = 1"][1] == np.inf


def test_what_the_bridge_costs_on_whole_paths_is_the_price_of_ancestral_sampling():
    """By draws of the true kernels, and by X13's error of the I-MMSE integral."""
    case, steps = case_of("line of widths"), 10
    price = mixdyn.price(case.mixture, case.schedule, mixdyn.DDIM(steps, eta=1.0)).steps
    runs = [dataclasses.replace(case, seed=seed, workspace={}) for seed in range(12)]
    found = [reverse_kernels.nats_of(run, steps, 300, 20) for run in runs]
    bridge = np.array([each["eta = 1"][0] for each in found])
    error = bridge.std(ddof=1) / np.sqrt(len(bridge))
    assert abs(bridge.mean() - price) < 6.0 * error
    assert error < 0.02 * price
    assert found[0]["full"][0] < 0.1 * price


@pytest.mark.parametrize("network", ["grid-reduced-0", "modes-1-2-3-100k-0"])
def test_saved_ends_are_of_the_shipped_networks(network):
    checkpoint = next(s for s in shipped() if s.name == network)
    ends = ddpm_ends.ddpm_ends(network, checkpoint.mixture())
    assert ends.counts.sum() == ddpm_ends.about()["about"]["samples"]
    assert ends.modes.sum() == ends.counts[0]
    assert ends.n_eval == checkpoint.schedule().T
    assert ddpm_ends.ddpm_ends("none", checkpoint.mixture()) is None


def test_groups_hold_every_network_that_was_trained_to_the_end():
    names = {s.name for s in groups.compared()}
    assert set(groups.CHOSEN_WITH) <= names
    assert names >= {s.name for s in shipped() if s.converged}
    assert not names & {"grid-medium-0", "grid-short-0"}


def test_a_sampler_that_is_worse_is_found_out():
    """By rate, by weights, by spread; against DDPM's saved counts."""
    mixture = PROBLEMS["grid"]
    good = ends_of(mixture, mixture.sample(20_000, np.random.default_rng(0)), 20.0)
    reference = dataclasses.replace(ddpm_ends.ddpm_ends("grid-reduced-0", mixture), n_eval=1000.0)
    trial = checked_rows.Trial("a network", groups.OWN, good, reference)
    assert [c.outcome for c in x14._moments(trial)] == [Outcome.HOLDS] * 2
    lost = good.modes.copy()
    lost[3] //= 10
    chi_square = float((np.square(lost - good.expected) / good.expected).sum())
    worse = dataclasses.replace(good, modes=lost, chi_square=chi_square)
    weights, _ = x14._moments(dataclasses.replace(trial, checked=worse))
    assert weights.outcome is Outcome.FAILS
    _, spread = x14._moments(x14._bridge_alone(trial))
    assert spread.outcome is Outcome.FAILS
    counts = x14._unchecked(trial).checked.counts
    assert counts[1] > 0.029 * counts.sum()
