"""What `precision` accepts and what single precision refuses."""

import numpy as np
import pytest

from mixdyn import DDIM, DDPM, ExactReverse, ExactScore, GaussianMixture, NoiseSchedule, sample
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(8, 0.01, 0.3)
PAIR = GaussianMixture([[0.0, 0.0], [1.0, 0.5]], 0.1)


@pytest.mark.parametrize("precision", ["float32", "half", None, np.float32, 32])
def test_an_unknown_precision_is_refused_with_the_two_there_are(precision):
    with pytest.raises(InputError, match="precision must be one of double, single"):
        ExactScore(PAIR, SCHEDULE, precision=precision)


@pytest.mark.parametrize(
    ("means", "sigma"),
    [
        ([[0.0], [1.0]], 7e-6),
        ([[3000.0], [3001.0]], 0.02),
        ([[0.0], [1.0]], [0.1, 1e-6]),
        ([[0.0], [2e8]], 1e7),
        ([[0.0], [1.0]], [0.1, 2e8]),
    ],
    ids=["thin", "far from the origin", "one thin mode", "means too large", "a sigma too large"],
)
def test_a_mixture_that_float32_does_not_resolve_is_refused_in_single_alone(means, sigma):
    mixture = GaussianMixture(means, sigma)
    assert ExactScore(mixture, SCHEDULE).precision == "double"
    with pytest.raises(InputError, match="single precision needs means and sigma up to 1e\\+08"):
        ExactScore(mixture, SCHEDULE, precision="single")


def test_the_smallest_sigma_in_single_is_64_spacings_of_float32():
    smallest = 64 * float(np.finfo(np.float32).eps)
    ExactScore(GaussianMixture([[0.0], [0.5]], smallest), SCHEDULE, precision="single")
    with pytest.raises(InputError, match="64 spacings"):
        ExactScore(GaussianMixture([[0.0], [0.5]], 0.999 * smallest), SCHEDULE, precision="single")


@pytest.mark.parametrize("kind", ["eps", "score"])
def test_states_beyond_the_range_of_single_are_refused_in_single_alone(kind):
    x = np.array([[1.1e8, 0.0]])
    assert np.isfinite(getattr(ExactScore(PAIR, SCHEDULE), kind)(x, 4)).all()
    with pytest.raises(InputError, match="x must be at most 1e\\+08 in size"):
        getattr(ExactScore(PAIR, SCHEDULE, precision="single"), kind)(x, 4)


def test_a_run_from_states_beyond_the_range_of_single_is_refused():
    single = ExactScore(PAIR, SCHEDULE, precision="single")
    with pytest.raises(InputError, match="at most 1e\\+08"):
        sample(single, SCHEDULE, DDIM(4), x=[[-2e8, 0.0]])


def test_a_step_whose_factors_leave_no_digit_of_a_float32_is_refused_in_single_alone():
    schedule, sampler = NoiseSchedule.from_betas([0.999] * 8), DDIM(1, "uniform")
    double, single = (ExactScore(PAIR, schedule, precision=p) for p in ("double", "single"))
    assert np.isfinite(sample(double, schedule, sampler, n=3, rng=0).x).all()
    with pytest.raises(InputError, match="steps with alpha_s/alpha_t up to 1e\\+08"):
        sample(single, schedule, sampler, n=3, rng=0)
    assert np.isfinite(sample(single, schedule, DDPM(), n=3, rng=0).x).all()


def test_exact_reverse_draws_refuse_a_score_in_single_precision():
    single = ExactScore(PAIR, SCHEDULE, precision="single")
    with pytest.raises(InputError, match="ExactReverse draws in double precision"):
        sample(single, SCHEDULE, ExactReverse(), n=3, rng=0)


@pytest.mark.parametrize("time", [-1, 9, 1.5])
def test_the_score_in_single_refuses_times_off_the_schedule(time):
    with pytest.raises(InputError, match="t must be an integer in 0"):
        ExactScore(PAIR, SCHEDULE, precision="single").score([[0.0, 0.0]], time)


@pytest.mark.parametrize("structure", [True, False])
def test_a_short_run_in_single_is_the_run_in_double_to_rounding(structure):
    """With and without the compiler."""
    runs = [
        sample(
            ExactScore(PAIR, SCHEDULE, precision=precision, detect_product=structure),
            SCHEDULE,
            DDPM(),
            n=9,
            rng=0,
        ).x
        for precision in ("double", "single")
    ]
    assert 0.0 < np.abs(runs[0] - runs[1]).max() <= 1e-5
