"""Single precision: what it may differ by from double, and that it differs by nothing else.

The bound is that of the docstring of `ExactScore`. Inside single precision the rules of double hold
bit for bit: a fused run is its steps one by one, and a sample depends on its index alone.
"""

import itertools

import mpmath
import numpy as np
import pytest
from numba import njit

from mixdyn import (
    DDIM,
    DDPM,
    ExactReverse,
    ExactScore,
    GaussianMixture,
    Hybrid,
    NoiseSchedule,
    classify,
    kernels,
    presets,
    sample,
)
from mixdyn.kernels.arithmetic import exp2, exp2_of
from mixdyn.support.errors import InputError

# -- what it may differ by -------------------------------------------------------------------------


SCHEDULE, SHORT = NoiseSchedule.linear(), NoiseSchedule.linear(40, 1e-4, 0.3)
EPS32 = float(np.finfo(np.float32).eps)


@njit(error_model="numpy")
def powers(z):
    """2^z alone and by fives, z (n, 5)."""
    alone, by_fives = np.empty_like(z), np.empty_like(z)
    for i in range(len(z)):
        (by_fives[i, 0], by_fives[i, 1]), (by_fives[i, 2], by_fives[i, 3], by_fives[i, 4]) = (
            exp2_of((z[i, 0], z[i, 1]), (z[i, 2], z[i, 3], z[i, 4]))
        )
        for j in range(5):
            alone[i, j] = exp2(z[i, j])
    return alone, by_fives


def random_mixture(d, n_modes, seed, per_mode=False):
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.02, 0.5, n_modes) if per_mode else 0.05
    return GaussianMixture(rng.normal(size=(n_modes, d)), sigma, rng.uniform(1e-4, 1, n_modes))


def in_a_plane():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.standard_normal((300, 2)))[0].T
    return GaussianMixture(rng.normal(size=(9, 2)) @ directions + rng.normal(size=300), 0.05)


MIXTURES = {
    "5x5 grid": presets.grid(),
    "diamond": presets.grid(rotate=np.pi / 4),
    "line in 100-D": presets.two_modes(d=100),
    "1-D": random_mixture(1, 36, 1),
    "plane, 31 modes": random_mixture(2, 31, 2),
    "plane, 1000 modes": random_mixture(2, 1000, 3),
    "3-D, per-mode sigma": random_mixture(3, 6, 4, per_mode=True),
    "sigmas four decades apart": GaussianMixture([[0.0, 0.0], [1.0, 0.2]], [1e-4, 1.0]),
    "7-D": random_mixture(7, 12, 5),
    "64 dimensions": presets.farthest_point(64),
    "a plane in 300-D": in_a_plane(),
    "far from the origin": GaussianMixture([[1000.0, 3.0], [1000.5, 3.0]], 0.02),
}
SAMPLERS = {
    "DDIM": DDIM(8),
    "DDIM, eta 0.5": DDIM(8, eta=0.5),
    "DDPM": DDPM(),
    "DDPM, beta": DDPM("beta"),
    "hybrid": Hybrid(3, DDIM(8)),
}


def both(mixture, schedule=SCHEDULE, **options):
    return tuple(
        ExactScore(mixture, schedule, precision=precision, **options)
        for precision in ("double", "single")
    )


def states(mixture, t, seed):
    """In modes, beside the midpoints of pairs where both matter, and anywhere."""
    rng = np.random.default_rng(seed)
    alpha, d = SCHEDULE.alpha[t], mixture.d
    var = float(alpha**2 * mixture.sigmas.min() ** 2 + SCHEDULE.noise_var[t])
    i, j = rng.integers(mixture.N, size=(2, 100))
    a, edge = alpha * mixture.means[i], alpha * (mixture.means[j] - mixture.means[i])
    length2 = np.square(edge).sum(1, keepdims=True)
    odds = rng.standard_normal((100, 1)) * edge * var / np.maximum(length2, var)
    across = np.sqrt(var / d) * rng.standard_normal((100, d))
    return np.vstack([a + across, a + edge / 2 + odds, a + edge / 2, rng.standard_normal((100, d))])


def units_of_bound(mixture, t, x, options):
    """|s_single - s| in units of the stated bound."""
    double, single = both(mixture, **options)
    gap = np.linalg.norm(double.score(x, t) - single.score(x, t), axis=1)
    mu, var = SCHEDULE.alpha[t] * mixture.means, double.variances(t)
    q = np.square(x[:, None] - mu).sum(-1) / (2 * var)
    q = np.where(double.responsibilities(x, t) > 1e-9, q, 0.0).max(axis=1)
    size = np.linalg.norm(x, axis=1) + np.linalg.norm(mu, axis=1).max()
    bound = EPS32 * (2 + np.sqrt(mixture.N)) * size / var.min() * np.maximum(1.0, q)
    return gap / bound


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("structure", [True, False], ids=["structure", "general"])
@pytest.mark.parametrize("name", MIXTURES)
def test_the_score_errs_by_no_more_than_the_stated_bound(name, structure, record_property):
    mixture, options = MIXTURES[name], {"detect_product": structure, "detect_hull": structure}
    worst = [
        float(units_of_bound(mixture, t, states(mixture, t, t), options).max())
        for t in (0, 1, 5, 22, 100, 300, 700, 1000)
    ]
    record_property("worst error in units of the bound", max(worst))
    assert max(worst) <= 1.0


@pytest.mark.compiled
def test_the_bound_is_within_four_times_of_what_is_reached():
    reached = max(
        units_of_bound(mixture, 1000, states(mixture, 1000, seed), {}).max()
        for seed in range(5)
        for mixture in (MIXTURES["5x5 grid"], MIXTURES["plane, 1000 modes"])
    )
    assert reached > 0.25


@pytest.mark.compiled
@pytest.mark.parametrize("t", [1, 100, 1000])
def test_eps_is_minus_noise_std_times_the_score_to_rounding(t):
    single = ExactScore(MIXTURES["plane, 31 modes"], SCHEDULE, precision="single")
    x = states(single.mixture, t, 0)
    scaled = -np.sqrt(SCHEDULE.noise_var[t]) * single.score(x, t)
    assert np.abs(single.eps(x, t) - scaled).max() <= 4 * EPS32 * np.abs(scaled).max()


@pytest.mark.compiled
def test_states_that_float32_holds_come_and_go_as_doubles_and_are_not_changed():
    single = ExactScore(presets.grid(), SCHEDULE, precision="single")
    x = states(single.mixture, 20, 0)
    before = x.copy()
    eps = single.eps(x, 20)
    rounded = single.eps(x.astype(np.float32), 20)
    assert eps.dtype == np.float64
    assert (eps == eps.astype(np.float32)).all()
    assert eps.tobytes() == rounded.tobytes()
    assert x.tobytes() == before.tobytes()


@pytest.mark.compiled
def test_two_to_a_power_is_within_one_ulp_of_float32_down_to_its_floor():
    rng = np.random.default_rng(0)
    z = np.concatenate([-rng.uniform(0, 110, 8000), -(10.0 ** rng.uniform(-9, 0, 2000))])
    z = np.append(z, [0.0, -0.5, -109.5, kernels.EXP2_FLOOR_SINGLE, -1.0]).astype(np.float32)
    alone, by_fives = powers(z.reshape(-1, 5))
    assert alone.dtype == np.float32
    assert alone.tobytes() == by_fives.tobytes()
    with mpmath.workprec(80):
        truth = np.array([float(mpmath.mpf(2) ** mpmath.mpf(float(one))) for one in z])
    ulp = np.spacing(truth.astype(np.float32)).astype(float)
    assert (np.abs(alone.ravel() - truth) / ulp).max() <= 1.0


@pytest.mark.compiled
def test_two_to_a_power_below_the_floor_is_that_of_the_floor_which_no_sum_can_feel():
    below = np.full((1, 5), -np.inf, np.float32)
    floor = powers(below)[0][0, 0]
    assert floor == np.float32(2.0**kernels.EXP2_FLOOR_SINGLE)
    # Ten million modes at the floor, each with a coordinate of the largest size allowed.
    assert np.float32(1.0 + 1e7 * float(floor) * 1e8) == 1.0


@pytest.mark.compiled
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    "name", ["5x5 grid", "1-D", "plane, 31 modes", "3-D, per-mode sigma", "7-D", "line in 100-D"]
)
def test_a_fused_run_is_its_steps_one_by_one_bit_for_bit(name, sampler):
    single = ExactScore(MIXTURES[name], SHORT, precision="single", detect_hull=False)
    runs = [
        sample(single, SHORT, SAMPLERS[sampler], n=300, rng=11, first=1000, keep=keep).x
        for keep in ("final", "trajectory")
    ]
    assert runs[0].tobytes() == runs[1].tobytes()
    assert (runs[0] == runs[0].astype(np.float32)).all()


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["5x5 grid", "3-D, per-mode sigma"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_split_into_shards_and_threads_gives_the_same_bits(sampler, name):
    single = ExactScore(MIXTURES[name], SHORT, precision="single")

    def run(n, first):
        return sample(single, SHORT, SAMPLERS[sampler], n=n, rng=6, first=first).x

    whole = run(700, 50)
    for cuts in ([0, 1, 130, 700], [0, 256, 511, 699, 700]):
        shards = [run(b - a, 50 + a) for a, b in itertools.pairwise(cuts)]
        assert np.vstack(shards).tobytes() == whole.tobytes()
    with kernels.threads(1):
        assert run(700, 50).tobytes() == whole.tobytes()


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["5x5 grid", "7-D"])
def test_a_prediction_for_one_point_is_its_row_of_the_batch(name):
    single = ExactScore(MIXTURES[name], SCHEDULE, precision="single")
    x = states(single.mixture, 20, 4)[:150]
    whole = single.eps(x, 20)
    assert all(single.eps(x[i : i + 1], 20).tobytes() == whole[i].tobytes() for i in range(150))


@pytest.mark.compiled
def test_a_run_draws_the_normals_of_double_rounded():
    """One step whose noise is all that is left: x_s = keep x + denoise x0_hat + noise_std xi."""
    runs = [
        sample(model, SHORT, DDIM(spacing="full", eta=1.0), n=500, rng=3, keep="trajectory")
        for model in both(GaussianMixture([[0.0, 0.0, 0.0]], 1.0), SHORT)
    ]
    steps = np.abs(runs[0].trajectory - runs[1].trajectory).max(axis=(1, 2))
    # One Gaussian of variance 1: no basin amplifies a rounding, so other normals would show.
    assert steps.max() <= 40 * EPS32 * np.abs(runs[0].trajectory).max()
    assert steps[-1] > 0.0


@pytest.mark.compiled
@pytest.mark.parametrize("structure", [True, False], ids=["product", "general"])
@pytest.mark.parametrize(
    ("sampler", "n"), [(DDIM(), 40_000), (DDIM(eta=0.5), 20_000), (DDPM(), 4_000)]
)
def test_a_run_on_the_standard_grid_ends_where_the_run_in_double_does(sampler, n, structure):
    mixture = presets.grid()
    ends = [
        sample(model, SCHEDULE, sampler, n=n, rng=3).x
        for model in both(mixture, detect_product=structure)
    ]
    gap = np.abs(ends[0] - ends[1]).max(axis=1) / mixture.sigma
    assert np.quantile(gap, 0.99) <= 4e-5
    assert gap.max() <= 0.1
    assert (classify(mixture, ends[0]) == classify(mixture, ends[1])).all()
    modes = [np.square(end[:, None] - mixture.means).sum(-1).argmin(1) for end in ends]
    assert (modes[0] == modes[1]).all()


@pytest.mark.compiled
def test_along_a_hull_only_the_projected_mixture_is_single():
    mixture = in_a_plane()
    double, single = (sample(m, SHORT, DDIM(8), n=400, rng=1).x for m in both(mixture, SHORT))
    hull = ExactScore(mixture, SHORT).route.hull
    gap = double - single
    across = gap - (gap @ hull.directions.T) @ hull.directions
    assert 0.0 < np.abs(gap).max() <= 1e-4
    assert np.abs(across).max() <= 1e-12


# -- what precision accepts, and what single precision refuses -------------------------------------


EIGHT = NoiseSchedule.linear(8, 0.01, 0.3)
PAIR = GaussianMixture([[0.0, 0.0], [1.0, 0.5]], 0.1)


@pytest.mark.parametrize("precision", ["float32", "half", None, np.float32, 32])
def test_an_unknown_precision_is_refused_with_the_two_there_are(precision):
    with pytest.raises(InputError, match="precision must be one of double, single"):
        ExactScore(PAIR, EIGHT, precision=precision)


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
    assert ExactScore(mixture, EIGHT).precision == "double"
    with pytest.raises(InputError, match="single precision needs means and sigma up to 1e\\+08"):
        ExactScore(mixture, EIGHT, precision="single")


def test_the_smallest_sigma_in_single_is_64_spacings_of_float32():
    smallest = 64 * float(np.finfo(np.float32).eps)
    ExactScore(GaussianMixture([[0.0], [0.5]], smallest), EIGHT, precision="single")
    with pytest.raises(InputError, match="64 spacings"):
        ExactScore(GaussianMixture([[0.0], [0.5]], 0.999 * smallest), EIGHT, precision="single")


@pytest.mark.parametrize("kind", ["eps", "score"])
def test_states_beyond_the_range_of_single_are_refused_in_single_alone(kind):
    x = np.array([[1.1e8, 0.0]])
    assert np.isfinite(getattr(ExactScore(PAIR, EIGHT), kind)(x, 4)).all()
    with pytest.raises(InputError, match="x must be at most 1e\\+08 in size"):
        getattr(ExactScore(PAIR, EIGHT, precision="single"), kind)(x, 4)


def test_a_run_from_states_beyond_the_range_of_single_is_refused():
    single = ExactScore(PAIR, EIGHT, precision="single")
    with pytest.raises(InputError, match="at most 1e\\+08"):
        sample(single, EIGHT, DDIM(4), x=[[-2e8, 0.0]])


def test_a_step_whose_factors_leave_no_digit_of_a_float32_is_refused_in_single_alone():
    schedule, sampler = NoiseSchedule.from_betas([0.999] * 8), DDIM(1, "uniform")
    double, single = (ExactScore(PAIR, schedule, precision=p) for p in ("double", "single"))
    assert np.isfinite(sample(double, schedule, sampler, n=3, rng=0).x).all()
    with pytest.raises(InputError, match="steps with alpha_s/alpha_t up to 1e\\+08"):
        sample(single, schedule, sampler, n=3, rng=0)
    assert np.isfinite(sample(single, schedule, DDPM(), n=3, rng=0).x).all()


def test_exact_reverse_draws_refuse_a_score_in_single_precision():
    single = ExactScore(PAIR, EIGHT, precision="single")
    with pytest.raises(InputError, match="ExactReverse draws in double precision"):
        sample(single, EIGHT, ExactReverse(), n=3, rng=0)


@pytest.mark.parametrize("time", [-1, 9, 1.5])
def test_the_score_in_single_refuses_times_off_the_schedule(time):
    with pytest.raises(InputError, match="t must be an integer in 0"):
        ExactScore(PAIR, EIGHT, precision="single").score([[0.0, 0.0]], time)


@pytest.mark.parametrize("structure", [True, False])
def test_a_short_run_in_single_is_the_run_in_double_to_rounding(structure):
    """With and without the compiler."""
    runs = [
        sample(
            ExactScore(PAIR, EIGHT, precision=precision, detect_product=structure),
            EIGHT,
            DDPM(),
            n=9,
            rng=0,
        ).x
        for precision in ("double", "single")
    ]
    assert 0.0 < np.abs(runs[0] - runs[1]).max() <= 1e-5
