"""DDIM inversion undoes DDIM: to rounding with iterations, to first order without."""

import numpy as np
import pytest

import mixdyn
from mixdyn import presets
from mixdyn.oracles import flow_map
from mixdyn.support.errors import InputError

pytestmark = pytest.mark.compiled

SCHEDULE = mixdyn.NoiseSchedule.linear()
WIDE = mixdyn.GaussianMixture([[-1.0, 0.2], [0.8, -0.4], [0.1, 1.0]], 0.4, [0.5, 0.2, 0.3])


def _round_trip(mixture, sampler, iterations, n=200, model=None, **options):
    x = mixture.sample(n, 3)
    found = mixdyn.invert(
        mixture if model is None else model,
        SCHEDULE,
        sampler,
        x,
        iterations=iterations,
        **options,
    )
    back = mixdyn.sample(mixture, SCHEDULE, sampler, x=found.x, **options)
    assert np.array_equal(back.times, found.times)
    return x, found, np.abs(back.x - x).max()


@pytest.mark.parametrize(
    "mixture", [WIDE, presets.grid(), presets.ring()], ids=["wide", "grid", "ring"]
)
@pytest.mark.parametrize("spacing", ["quadratic", "log_snr"])
def test_with_iterations_the_round_trip_closes(mixture, spacing):
    x, found, gap = _round_trip(mixture, mixdyn.DDIM(50, spacing), 400)
    assert found.residual.max() < 1e-11
    assert gap < 1e-11
    assert np.abs(found.x - x).max() > 0.5


def test_the_residual_says_where_a_coarse_step_jumps_too_steeply_to_be_undone():
    # Uniform steps jump from basin to basin between neighbouring doubles near the data.
    _, found, gap = _round_trip(presets.grid(), mixdyn.DDIM(50, "uniform"), 200)
    assert gap > 1e-3
    assert found.residual.max() == pytest.approx(gap, rel=0.5)
    assert np.median(found.residual) < 1e-11


@pytest.mark.parametrize("mixture", [WIDE])
def test_without_iterations_its_error_halves_with_twice_the_steps(mixture):
    gaps = [_round_trip(mixture, mixdyn.DDIM(S, "uniform"), 0)[2] for S in (125, 250, 500, 1000)]
    ratios = np.array(gaps[:-1]) / gaps[1:]
    assert (ratios > 1.6).all()
    assert (ratios < 2.5).all()


def test_without_iterations_a_step_costs_one_evaluation_and_knows_no_residual():
    _, found, _ = _round_trip(WIDE, mixdyn.DDIM(50), 0)
    assert found.n_eval == 50
    assert np.isnan(found.residual).all()
    _, solved, _ = _round_trip(WIDE, mixdyn.DDIM(50), 100)
    assert 100 <= solved.n_eval < 50 * 60


def test_it_follows_the_flow_to_first_order():
    line = mixdyn.GaussianMixture([[-1.0], [0.5]], 0.4, [0.3, 0.7])
    x = line.sample(100, 5)
    v = SCHEDULE.effective_variance(0.4)
    exact = SCHEDULE.alpha[-1] * flow_map(line, x, v[0], v[-1])
    gaps = [
        np.abs(mixdyn.invert(line, SCHEDULE, mixdyn.DDIM(S, "uniform"), x).x - exact).max()
        for S in (250, 500, 1000)
    ]
    assert gaps[0] < 0.1
    ratios = np.array(gaps[:-1]) / gaps[1:]
    assert (ratios > 1.6).all()
    assert (ratios < 2.5).all()


def test_one_mode_is_inverted_by_the_reciprocal_of_its_gain():
    one, sampler = mixdyn.GaussianMixture([[0.0]], 0.3), mixdyn.DDIM(20)
    gain = mixdyn.sample(one, SCHEDULE, sampler, x=[[1.0]]).x[0, 0]
    found = mixdyn.invert(one, SCHEDULE, sampler, [[0.6]])
    assert found.x[0, 0] == pytest.approx(0.6 / gain, rel=1e-11)


def test_a_start_cuts_the_grid_and_a_model_takes_the_mixtures_place():
    start = int(mixdyn.DDIM(50).grid(SCHEDULE).times[20])
    adapted = mixdyn.as_model(mixdyn.ExactScore(WIDE, SCHEDULE).eps)
    _, found, gap = _round_trip(WIDE, mixdyn.DDIM(50), 400, model=adapted, start=start)
    assert found.times[0] == start
    assert gap < 1e-8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mixdyn.invert(WIDE, SCHEDULE, mixdyn.DDIM(eta=0.5), [[0.0, 0.0]]),
            "deterministic",
        ),
        (lambda: mixdyn.invert(WIDE, SCHEDULE, mixdyn.DDPM(), [[0.0, 0.0]]), "must be a DDIM"),
        (lambda: mixdyn.invert(WIDE, None, mixdyn.DDIM(), [[0.0, 0.0]]), "must be a NoiseSchedule"),
        (lambda: mixdyn.invert(WIDE, SCHEDULE, mixdyn.DDIM(), [[0.0]]), "shape"),
        (
            lambda: mixdyn.invert(WIDE, SCHEDULE, mixdyn.DDIM(), [[0.0, 0.0]], iterations=-1),
            "iterations must be an integer >= 0",
        ),
        (
            lambda: mixdyn.invert(WIDE, SCHEDULE, mixdyn.DDIM(), [[0.0, 0.0]], tolerance=0),
            "tolerance must be > 0",
        ),
    ],
)
def test_what_has_no_inverse_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
