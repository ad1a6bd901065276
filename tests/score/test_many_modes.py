"""Of very many modes those are left out that a proof allows: what is summed is the exact score to
the engine's target, at every noise, and little is looked at."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, NoiseSchedule, kernels, sample
from mixdyn.score import Level, level
from mixdyn.score.routes.general import General
from mixdyn.score.routes.low_rank import find_hull
from mixdyn.score.routes.screened import Screened
from mixdyn.score.routes.smoothed import Smoothed
from tests.score.test_accuracy import adversarial_points, ball_score, units_of_target

pytestmark = pytest.mark.compiled

LINEAR = NoiseSchedule.linear()
ROUTES = {"smoothed": (Smoothed, 2), "smoothed in space": (Smoothed, 3), "screened": (Screened, 9)}
TIMES = [1, 20, 100, 300, 450, 600, 800, 1000]


def clusters(N, d, seed=0, *, offset=0.0, weights=False):
    """Clusters of very different widths, some modes twice."""
    rng = np.random.default_rng(seed)
    widths = np.array([1.0, 0.3, 0.03, 1e-3])
    which = rng.integers(len(widths), size=N)
    means = rng.normal(size=(4, d))[which] + widths[which, None] * rng.normal(size=(N, d))
    means[N // 2 : N // 2 + N // 20] = means[N // 4 : N // 4 + N // 20]
    given = np.exp(rng.uniform(-8, 0, N)) if weights else None
    return GaussianMixture(means + offset, 0.003, given, allow_duplicates=True)


def states(mixture, at, n, seed=1):
    """States of p_t, others that it hardly knows, and some very far away."""
    rng = np.random.default_rng(seed)
    x = at.alpha * mixture.means[rng.integers(mixture.N, size=n)]
    x += at.noise_std * rng.normal(size=x.shape)
    x[: n // 4] = rng.normal(size=(n // 4, mixture.d))
    x[0], x[1] = 50.0, -1e3
    return x


def units(route, mixture, at, x):
    """The gap to the general route in units of the target, which allows each as much."""
    gap = np.linalg.norm(
        route.pull(x, at, 1.0) - General(mixture, np.float64).pull(x, at, 1.0), axis=1
    )
    size = np.linalg.norm(x, axis=1) + at.alpha * np.linalg.norm(mixture.means, axis=1).max()
    var = at.signal_var * mixture.sigma**2 + at.noise_var
    nearest = np.full(len(x), np.inf)
    for part in np.array_split(mixture.means, 50):
        square = np.square(x[:, None] - at.alpha * part).sum(-1).min(1)
        nearest = np.minimum(nearest, square)
    return gap / (1e-12 * size * np.maximum(1.0, nearest / (2 * var) / 1e3))


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("t", [1, 100, 400, 1000])
def test_the_score_is_within_target_of_ball_arithmetic(name, t):
    build, d = ROUTES[name]
    mixture = clusters(60, d, weights=True)
    at, abar = level(LINEAR, t), float(LINEAR.alpha_bar[t])
    x = adversarial_points(mixture, abar, np.random.default_rng(t))
    truth, exponent = ball_score(mixture, x, abar)
    var = abar * mixture.sigma**2 + float(LINEAR.noise_var[t])
    score = build(mixture).pull(x, at, 1.0 / var)
    assert units_of_target(score, truth, x, mixture, abar, exponent).max() <= 1.0


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("t", TIMES)
def test_it_equals_the_general_route_with_duplicates_and_far_states(name, t):
    build, d = ROUTES[name]
    mixture, at = clusters(20_000 if d == 3 else 3000, d, weights=True), level(LINEAR, t)
    assert units(build(mixture), mixture, at, states(mixture, at, 60)).max() <= 2.0


@pytest.mark.parametrize("name", ROUTES)
def test_it_does_so_far_from_the_origin_where_noise_is_all_and_on_one_point(name):
    build, d = ROUTES[name]
    away = clusters(2000, d, offset=300.0)
    for at in (level(LINEAR, 5), level(LINEAR, 700), Level(0.0, 1.0), Level(1e-9, 1.0)):
        x = states(away, at, 40)
        assert units(build(away), away, at, x).max() <= 2.0
    point = GaussianMixture(np.full((1500, d), 0.3), 0.1, allow_duplicates=True)
    x = np.random.default_rng(0).normal(size=(20, d))
    pull = build(point).pull(x, Level(0.5, 0.2), 1.0)
    assert np.allclose(pull, 0.15 - x, rtol=0, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(ROUTES)),
    seed=st.integers(0, 2**20),
    log_scale=st.floats(-6, 6),
    log_var=st.floats(-18, 6),
    alpha=st.floats(0.001, 1.0),
    weights=st.booleans(),
)
def test_what_is_left_out_never_shifts_a_score_by_more_than_the_target(
    name, seed, log_scale, log_var, alpha, weights
):
    build, d = ROUTES[name]
    base = clusters(400, d, seed, weights=weights)
    scale = np.exp(log_scale)
    means, sigma = scale * base.means, 1e-3 * scale
    mixture = GaussianMixture(means, sigma, base.weights, allow_duplicates=True)
    at = Level(alpha, (alpha * scale) ** 2 * np.exp(log_var))
    assert units(build(mixture), mixture, at, states(mixture, at, 24, seed)).max() <= 2.0


@pytest.mark.parametrize("sampler", [DDIM(), DDIM(20, eta=0.7), DDPM()], ids=str)
def test_modes_held_from_step_to_step_end_where_looking_at_every_step_does(sampler):
    mixture, schedule = clusters(1500, 12), NoiseSchedule.linear(60, 1e-4, 0.2)
    if isinstance(sampler, DDIM):
        schedule = LINEAR
    exact = ExactScore(mixture, schedule, route="screened")
    x = np.random.default_rng(0).normal(size=(200, 12))
    held = sample(exact, schedule, sampler, x=x, rng=3).x
    looked = exact.route.work.copy()
    traced = sample(exact, schedule, sampler, x=x, rng=3, keep="trajectory").x
    general = ExactScore(mixture, schedule, route="general")
    gap = np.abs(held - traced).max(axis=1)
    assert np.quantile(gap, 0.9) <= 1e-12
    plain = sample(general, schedule, sampler, x=x, rng=3).x
    assert np.quantile(np.abs(held - plain).max(axis=1), 0.9) <= 1e-10
    if sampler == DDIM():
        again = exact.route.work - looked
        assert looked[0] < again[0] / 2


@pytest.mark.parametrize("name", ROUTES)
def test_a_sample_has_the_same_bits_in_any_batch_and_on_any_number_of_threads(name):
    build, d = ROUTES[name]
    mixture = clusters(2000, d, weights=True)
    x = np.random.default_rng(0).normal(size=(300, d))

    def run(rows, first):
        exact = ExactScore(mixture, LINEAR, route=build.name)
        return sample(exact, LINEAR, DDIM(25), x=rows, rng=5, first=first).x

    whole = run(x, 0)
    parts = [run(x[i:j], i) for i, j in ((0, 1), (1, 130), (130, 300))]
    assert np.array_equal(whole, np.vstack(parts))
    with kernels.threads(1):
        assert np.array_equal(whole, run(x, 0))


def test_at_low_noise_few_modes_are_summed_and_at_high_noise_few_powers_taken():
    rng = np.random.default_rng(0)
    plane, far = (GaussianMixture(rng.normal(size=(40_000, d)), 1e-3) for d in (2, 30))
    exact = ExactScore(plane, LINEAR)
    assert exact.route.name == "smoothed"
    for t, most in ((1, 4000), (30, 300), (300, 300), (1000, 300)):
        at = level(LINEAR, t)
        x = at.alpha * plane.means[:100] + at.noise_std * rng.normal(size=(100, 2))
        exact.route.work[:] = 0
        exact.eps(x, t)
        points, modes, powers = exact.route.work / len(x)
        assert powers <= most
        assert points <= 8000
        assert modes <= (most if t == 1 else 64)
    exact = ExactScore(far, LINEAR)
    assert exact.route.name == "screened"
    at = level(LINEAR, 20)
    x = at.alpha * far.means[:100] + at.noise_std * rng.normal(size=(100, 30))
    exact.eps(x, 20)
    assert exact.route.work[1] == 0
    assert exact.route.work[2] <= 10 * len(x)
    assert exact.route.work[0] == len(x) * far.N


def test_no_array_of_samples_by_modes_is_made():
    rng = np.random.default_rng(0)
    for d, n, t in ((2, 20_000, 400), (2, 20_000, 1), (40, 2000, 900), (40, 2000, 5)):
        mixture = GaussianMixture(rng.normal(size=(5000, d)), 0.01)
        exact, x = ExactScore(mixture, LINEAR), rng.normal(size=(n, d))
        exact.eps(x[:1], t)
        tracemalloc.start()
        exact.eps(x, t)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 8 * x.nbytes + 1e6 < 8 * n * mixture.N / 10


def test_routes_for_many_modes_leave_few_modes_and_structure_alone():
    rng = np.random.default_rng(0)
    assert (
        ExactScore(GaussianMixture(rng.normal(size=(900, 2)), 0.1), LINEAR).route.name == "general"
    )
    grid = np.stack(np.meshgrid(*[np.arange(40.0)] * 2), axis=-1).reshape(-1, 2)
    assert ExactScore(GaussianMixture(grid, 0.1), LINEAR).route.name == "spaced_axes"
    several = GaussianMixture(rng.normal(size=(1500, 2)), rng.uniform(0.1, 0.2, 1500))
    assert ExactScore(several, LINEAR).route.name == "general"
    single = ExactScore(
        GaussianMixture(rng.normal(size=(1500, 2)), 0.1), LINEAR, precision="single"
    )
    assert single.route.name == "general"
    on_plane = GaussianMixture(rng.normal(size=(1500, 2)) @ rng.normal(size=(2, 40)), 0.1)
    hull = ExactScore(on_plane, LINEAR).route
    assert (hull.name, hull.along.name) == ("low_rank", "smoothed")
    assert find_hull(GaussianMixture(rng.normal(size=(1500, 40)), 0.1)) is None
