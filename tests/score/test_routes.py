"""Routes are found in their folder; where one fits a mixture it evaluates it as the others do."""

import sys

import mpmath
import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    ExactScore,
    GaussianMixture,
    Hybrid,
    NoiseSchedule,
    kernels,
    presets,
    sample,
)
from mixdyn.kernels import MODES
from mixdyn.score import Level, level, routes
from mixdyn.score.routes.general import General
from mixdyn.score.routes.low_rank import find_hull
from mixdyn.score.routes.spaced_axes import common_spacing, lattice_rows
from mixdyn.support.errors import InputError
from tests.accuracy import assert_within_target

SCHEDULE = NoiseSchedule.linear(40, 1e-3, 0.2)
MIXTURES = {
    "product": presets.grid(3, sigma=0.2),
    "hull": GaussianMixture(np.outer([0.0, 1.0, 2.5], np.linspace(-1, 1, 20)), 0.2, [1, 2, 3]),
    "per-mode sigma": GaussianMixture([[0.0, 1.0], [1.0, -1.0]], [0.2, 0.7], [0.3, 0.7]),
    "many in the plane": GaussianMixture(np.random.default_rng(0).normal(size=(1100, 2)), 0.1),
    "many": GaussianMixture(np.random.default_rng(0).normal(size=(1100, 6)), 0.1),
    "covariances": GaussianMixture(
        [[0.0, 1.0], [1.0, -1.0]], weights=[0.3, 0.7], covariance=0.04 * np.eye(2)
    ),
}
TAKEN = {
    "product": "spaced_axes",
    "hull": "low_rank",
    "per-mode sigma": "general",
    "many in the plane": "smoothed",
    "many": "screened",
    "covariances": "ellipsoids",
}


def fitted(route):
    """The mixtures that a route fits, of few modes where there are such."""
    found = [m for m in MIXTURES.values() if route.fits(m, np.float64)]
    return [m for m in found if m.N < 1000] or found


ROUTES = [
    pytest.param(
        route,
        id=route.name,
        marks=[pytest.mark.compiled] if max(m.N for m in fitted(route)) > 1000 else [],
    )
    for route in routes.routes()
]


@pytest.mark.parametrize("name", MIXTURES)
def test_the_first_route_that_fits_is_taken(name):
    assert ExactScore(MIXTURES[name], SCHEDULE).route.name == TAKEN[name]


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_pulls_as_the_general_one_where_it_fits(route):
    for mixture in fitted(route):
        found = route.fits(mixture, np.float64)
        x = np.random.default_rng(1).normal(size=(30, mixture.d))
        if mixture.covariance is not None:  # these are isotropic all the same
            mixture = GaussianMixture(mixture.means, 0.2, mixture.weights)
        general = General(mixture, np.float64)
        for at in (level(SCHEDULE, 1), level(SCHEDULE, 40), Level(1.0, 0.3)):
            pulls = [one.pull(x, at, 0.7) for one in (found, general)]
            assert np.allclose(*pulls, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("sampler", [DDIM(8, "log_snr"), DDIM(8, eta=0.7)], ids=["ode", "noisy"])
def test_a_named_route_runs_as_one_step_after_the_other(route, sampler):
    for mixture in fitted(route):
        exact = ExactScore(mixture, SCHEDULE, route=route.name)
        assert exact.route.name == route.name
        fused, traced = (
            sample(exact, SCHEDULE, sampler, n=50, rng=3, keep=keep).x
            for keep in ("final", "trajectory")
        )
        assert np.quantile(np.abs(fused - traced).max(axis=1), 0.9) <= 1e-10


FILE = '''
import numpy as np


class OneMode:
    """A single mode: its pull is linear."""

    name = "one_mode"
    order = 1

    def __init__(self, mean):
        self.mean = mean

    @classmethod
    def fits(cls, mixture, dtype):
        return cls(mixture.means[0]) if mixture.N == 1 else None

    def pull(self, x, at, scale):
        return scale * (at.alpha * self.mean - x)

    def rollout(self, steps):
        return None
'''


def test_a_route_is_one_file_in_the_folder(tmp_path, monkeypatch):
    (tmp_path / "one_mode.py").write_text(FILE)
    monkeypatch.setattr(routes, "__path__", [*routes.__path__, str(tmp_path)])
    routes.routes.cache_clear()
    one, several = GaussianMixture([[0.3, -0.2]], 0.1), MIXTURES["product"]
    try:
        scores = [ExactScore(one, SCHEDULE), ExactScore(several, SCHEDULE)]
        assert [score.route.name for score in scores] == ["one_mode", "spaced_axes"]
        x = sample(scores[0], SCHEDULE, DDIM(8), n=40, rng=0).x
    finally:
        sys.modules.pop("mixdyn.score.routes.one_mode", None)
        routes.routes.cache_clear()
    monkeypatch.undo()
    assert np.allclose(x, sample(one, SCHEDULE, DDIM(8), n=40, rng=0).x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["spaced_axes", "diagonals", 3])
def test_a_route_that_does_not_fit_or_is_not_there_is_refused(name):
    with pytest.raises(InputError, match=r"a route of spaced_axes, .* must fit the mixture"):
        ExactScore(MIXTURES["per-mode sigma"], SCHEDULE, route=name)


# -- means in a low-dimensional hull, to rounding; with noise the generic loop's normals -----------

# Runs with noise take the generic loop on the same normals, bit for bit; a noiseless run in one
# piece, along the hull, is equal to the general run to tolerance.


ON_HULL = NoiseSchedule.linear(60, 1e-4, 0.2)


def in_a_plane(d, rank, n_modes=9, sigma=0.05, seed=0):
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((d, rank)))[0].T
    offsets = rng.normal(size=(n_modes, rank))
    weights = rng.uniform(0.1, 1, n_modes)
    return GaussianMixture(offsets @ directions + rng.normal(size=d), sigma, weights)


CASES = {
    "a line in 16-D": in_a_plane(16, 1, n_modes=3),
    "a plane in 19-D": in_a_plane(19, 2),
    "a plane in 300-D": in_a_plane(300, 2),
    "five dimensions in 40": in_a_plane(40, 5, n_modes=17),
    "one mode in 20-D": GaussianMixture(np.linspace(0, 1, 20)[None], 0.1),
}
RANKS = dict(zip(CASES, (1, 2, 2, 5, 1), strict=True))


def pair(mixture):
    return tuple(
        ExactScore(mixture, ON_HULL, detect_product=False, detect_hull=hull)
        for hull in (True, False)
    )


@pytest.mark.compiled
@pytest.mark.parametrize("name", CASES)
def test_the_hull_is_found_with_its_dimension_and_holds_every_mean(name):
    mixture = CASES[name]
    found = find_hull(mixture)
    rank = RANKS[name]
    assert found.directions.shape == (rank, mixture.d)
    gram = found.directions @ found.directions.T
    assert np.abs(gram - np.eye(rank)).max() <= 1e-14
    back = found.centre + found.projected.means @ found.directions
    assert np.abs(back - mixture.means).max() <= 1e-14 * np.abs(mixture.means).max()


@pytest.mark.compiled
def test_a_hull_that_would_not_pay_or_of_several_sigmas_is_left_alone():
    assert find_hull(in_a_plane(19, 5)) is None
    assert find_hull(in_a_plane(15, 2)) is None
    several = GaussianMixture(CASES["a plane in 19-D"].means, np.linspace(0.1, 0.2, 9))
    assert find_hull(several) is None
    assert find_hull(GaussianMixture([[0.0, 0.0, 0.0]], 0.1)) is None


@pytest.mark.compiled
@pytest.mark.parametrize("t", [1, 5, 60])
@pytest.mark.parametrize("name", CASES)
def test_the_score_agrees_with_the_general_path_to_the_accuracy_target(name, t):
    mixture = CASES[name]
    hull, general = pair(mixture)
    rng = np.random.default_rng(t)
    alpha, std = ON_HULL.alpha[t], float(np.sqrt(hull.variances(t)[0]))
    k, m = rng.integers(mixture.N, size=(2, 60))
    middle = 0.5 * alpha * (mixture.means[k] + mixture.means[m])
    x = np.vstack([middle + std * rng.standard_normal(middle.shape), middle, 3 * middle + 1])
    assert_within_target(hull, general, x, t)


@pytest.mark.compiled
@pytest.mark.parametrize("name", CASES)
def test_a_noiseless_run_ends_where_the_general_one_does(name):
    hull, general = pair(CASES[name])
    runs = [sample(e, ON_HULL, DDIM(15, "log_snr"), n=300, rng=1).x for e in (hull, general)]
    gap = np.linalg.norm(runs[0] - runs[1], axis=1)
    # Beside a separatrix rounding decides: all but a few samples must agree.
    assert np.quantile(gap, 0.99) <= 1e-10


@pytest.mark.compiled
@pytest.mark.parametrize(
    "sampler", [DDIM(15, "log_snr"), DDIM(15, eta=0.5), DDPM(), Hybrid(3, DDIM(12, "uniform"))]
)
def test_any_split_into_shards_gives_the_same_bits_along_a_hull(sampler):
    mixture = CASES["a plane in 19-D"]
    whole = sample(mixture, ON_HULL, sampler, n=300, rng=6).x
    parts = [
        sample(mixture, ON_HULL, sampler, n=size, rng=6, first=first).x
        for first, size in ((0, 77), (77, 223))
    ]
    assert np.vstack(parts).tobytes() == whole.tobytes()


@pytest.mark.compiled
@pytest.mark.parametrize("sampler", [DDIM(15, eta=0.5), DDPM()])
def test_a_run_with_noise_follows_the_general_one_on_the_same_normals(sampler):
    hull, general = pair(CASES["a plane in 300-D"])
    runs = [sample(e, ON_HULL, sampler, n=200, rng=2).x for e in (hull, general)]
    assert np.quantile(np.linalg.norm(runs[0] - runs[1], axis=1), 0.98) <= 1e-10


@pytest.mark.compiled
def test_a_noiseless_run_passes_over_the_data_twice_whatever_its_steps(monkeypatch):
    passes = []
    for name in ("project", "lift"):
        kernel = getattr(kernels, name)

        def counted(x, *arguments, kernel=kernel, name=name):
            passes.append((name, len(x)))
            return kernel(x, *arguments)

        monkeypatch.setattr(kernels, name, counted)
    for steps in (5, 50):
        passes.clear()
        sample(CASES["a plane in 300-D"], ON_HULL, DDIM(steps, "log_snr"), n=300, rng=0)
        assert passes == [("project", 300), ("lift", 300)]


# -- equally spaced modes, against the plain sum in extended precision -----------------------------

# Which form an axis takes, and that its moves are those of the modes; accuracy against ball
# arithmetic is in `test_accuracy`.


LINEAR = NoiseSchedule.linear()
BITS = np.array([1e-6, 0.1, 5.0, 30.0, 63.0, 90.0, 400.0, 2000.0])  # h spacing^2 of each level


def line(count, weights=None):
    w = np.full(count, 1 / count) if weights is None else np.asarray(weights)
    return np.arange(float(count)), np.log2(w / w.sum())


def forms(axis, dtype=np.float64):
    return lattice_rows([axis], np.ones_like(BITS), BITS, dtype)[:, 0, 0].tolist()


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("axis", "double", "single"),
    [
        (line(2), "11111111", "11111111"),
        (line(3), "11111112", "11112222"),
        (line(5), "11111122", "11102222"),
        (line(12), "11102222", "11002222"),
        (line(40), "11002222", "11002222"),
        (line(3, [1, 2, 3]), "11111110", "11110000"),
        ((np.array([0.0, 1.0, 2.5]), np.zeros(3)), "00000000", "00000000"),
        ((np.array([0.0, 1.0, 2.0 + 1e-12]), np.zeros(3)), "00000000", "00000000"),
    ],
)
def test_an_axis_takes_the_form_that_its_spacing_weights_and_width_allow(axis, double, single):
    for dtype, expected in ((np.float64, double), (np.float32, single)):
        assert "".join(f"{form:.0f}" for form in forms(axis, dtype)) == expected, dtype


@pytest.mark.compiled
def test_equal_spacing_is_recognised_to_rounding_and_no_further():
    rng = np.random.default_rng(0)
    for _ in range(200):
        start, spacing = (
            10.0 ** rng.uniform(-3, 3) * rng.choice([-1, 1]),
            10.0 ** rng.uniform(-3, 3),
        )
        values = start + spacing * np.arange(rng.integers(2, 30))
        assert common_spacing(values) == pytest.approx(spacing, rel=1e-9)
        if len(values) > 2:
            values[1] += 40 * np.spacing(np.abs(values).max())
            assert common_spacing(values) is None


def true_move(x, values, weights, var):
    """sum_k gamma_k (a_k - x) of one number x, in 200 bits."""
    with mpmath.workprec(200):
        x, var = mpmath.mpf(float(x)), mpmath.mpf(float(var))
        gaps = [mpmath.mpf(float(a)) - x for a in values]
        logs = [
            mpmath.log(mpmath.mpf(float(w))) - u * u / (2 * var)
            for w, u in zip(weights, gaps, strict=True)
        ]
        e = [mpmath.exp(one - max(logs)) for one in logs]
        return float(mpmath.fsum(p * u for p, u in zip(e, gaps, strict=True)) / mpmath.fsum(e))


@pytest.mark.compiled
@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize(
    "mixture",
    [
        presets.line(2),
        presets.line(5),
        presets.line(8),
        presets.line(30),
        GaussianMixture(np.arange(4.0)[:, None], 0.05, [0.1, 0.2, 0.3, 0.4]),
    ],
    ids=["2", "5", "8", "30", "unequal weights"],
)
def test_moves_are_those_of_the_modes_beside_between_and_far_outside_them(mixture, precision):
    rng = np.random.default_rng(0)
    exact = ExactScore(mixture, LINEAR, precision=precision)
    eps = float(np.finfo(exact.dtype).eps)
    met = set()
    for t in (1, 40, 90, 130, 200, 600, 1000):
        alpha, var = LINEAR.alpha[t], float(exact.variances(t)[0])
        mu, std = alpha * mixture.means[:, 0], np.sqrt(var)
        middle = (mu[1:] + mu[:-1]) / 2
        near = (mu[:, None] + std * np.array([-3.0, -1e-6, 0.0, 1e-3, 1.0, 12.0])).ravel()
        odds = middle + var / (mu[1] - mu[0]) * rng.standard_normal(len(middle))
        x = np.concatenate([near, middle, odds, mu[0] - [0.3, 9.0], mu[-1] + [0.3, 9.0, 1e4]])
        x = x.astype(exact.dtype).astype(float)
        move = exact.eps(x[:, None], t)[:, 0] * var / -np.sqrt(LINEAR.noise_var[t])
        truth = np.array([true_move(one, mu, mixture.weights, var) for one in x])
        form, spacing = exact.route.rows(np.array([alpha]), np.array([var]))[0, 0, 0], mu[1] - mu[0]
        # A rounding of x moves the odds of two modes by spacing/var of it; the modes' own exponents
        # err by q roundings, which the two other forms never meet far outside.
        q = np.square(x[:, None] - mu).min(axis=1) / (2 * var) + 60
        q = q if form == MODES else np.minimum(q, spacing**2 / var + 120)
        size = (np.abs(x) + np.abs(mu).max()) * (1 + spacing**2 / (4 * var))
        allowed = (2 + np.sqrt(mixture.N)) * eps * (size + spacing * q)
        assert (np.abs(move - truth) <= allowed).all(), t
        met.add(float(form))
    assert met != {MODES}


@pytest.mark.compiled
@pytest.mark.parametrize("x", [1e30, -1e30, 1e75, -1e75])
def test_a_state_beyond_all_reach_is_drawn_to_the_edge(x):
    exact = ExactScore(presets.line(5), LINEAR)
    for t in (1, 40, 600):
        scale = np.sqrt(LINEAR.noise_var[t]) / exact.variances(t)[0]
        assert exact.eps([[x]], t)[0, 0] == pytest.approx(scale * x, rel=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("mixture", [presets.grid(), presets.ring(), presets.line(30)])
def test_a_far_state_changes_no_bit_of_those_beside_it(mixture, precision):
    """A tile that holds one is summed twice where modes are summed."""
    x = np.random.default_rng(3).standard_normal((600, mixture.d))
    alone_too = np.arange(0, 600, 7)
    far = x.copy()
    far[alone_too] *= 1e4
    for detect in (True, False):
        exact = ExactScore(mixture, LINEAR, detect_product=detect, precision=precision)
        for t in (1, 40, 1000):
            near, mixed = exact.eps(x, t), exact.eps(far, t)
            rest = np.delete(np.arange(600), alone_too)
            assert near[rest].tobytes() == mixed[rest].tobytes()
            for i in alone_too[:5]:
                assert exact.eps(far[i : i + 1], t).tobytes() == mixed[i : i + 1].tobytes()
