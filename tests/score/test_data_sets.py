"""Point masses: the score of data at every noise against 200-bit arithmetic, tables that are kept,
points that occur twice, and what is refused."""

import flint
import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    ExactReverse,
    ExactScore,
    GaussianMixture,
    InputError,
    NoiseSchedule,
    sample,
)
from mixdyn.geometry import Region, classify, within_modes
from mixdyn.score import Level
from mixdyn.support.errors import NotApplicableError

pytestmark = pytest.mark.compiled
LINEAR = NoiseSchedule.linear()


def _data(n, d, seed=0):
    """Points of a few clusters, some of them next to each other and some twice."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((4, d))[rng.integers(4, size=n)]
    x += rng.choice([1.0, 0.1, 1e-3], n)[:, None] * rng.standard_normal((n, d))
    x[n // 2 : n // 2 + n // 20] = x[n // 4 : n // 4 + n // 20]
    return GaussianMixture.from_data(x)


def _truth(data, x, at):
    """sum gamma_k (alpha mu_k - x)/nu, and the smallest exponent, at 200 bits."""
    flint.ctx.prec = 200
    alpha, nu = flint.arb(at.alpha), flint.arb(at.noise_var)
    mu = flint.arb_mat(data.means.tolist()) * alpha
    state = [flint.arb(v) for v in x.tolist()]
    offsets = [[mu[k, j] - state[j] for j in range(data.d)] for k in range(data.N)]
    exponents = [sum((o * o for o in row), flint.arb(0)) / (2 * nu) for row in offsets]
    least = min(exponents, key=float)
    shares = [(least - e).exp() for e in exponents]
    total = sum(shares, flint.arb(0))
    felt = [k for k, share in enumerate(shares) if share > flint.arb("1e-45")]
    pull = [sum((shares[k] * offsets[k][j] for k in felt), flint.arb(0)) for j in range(data.d)]
    return np.array([float(p / (total * nu)) for p in pull]), float(least)


@pytest.mark.parametrize(("n", "d"), [(2000, 50), (1100, 2), (40, 5)])
@pytest.mark.parametrize("rho", [1e-14, 1e-9, 1e-4, 0.03, 1.0, 300.0])
def test_the_score_of_points_is_within_target_at_every_noise(n, d, rho):
    data, at = _data(n, d), Level.of_rho(rho)
    route = ExactScore(data, LINEAR).route
    assert route.name == {2000: "screened", 1100: "smoothed", 40: "general"}[n]
    rng = np.random.default_rng(1)
    x = at.alpha * data.means[[5, n // 4]] + at.noise_std * rng.standard_normal((2, d))
    between = 0.5 * at.alpha * (data.means[:1] + data.means[1:2])
    x = np.concatenate([x, between, rng.standard_normal((1, d))])
    found = route.pull(x, at, 1.0 / at.noise_var)
    reach = at.alpha * np.linalg.norm(data.means, axis=1).max()
    for row, state in zip(found, x, strict=True):
        truth, exponent = _truth(data, state, at)
        allowed = 1e-12 * (np.linalg.norm(state) + reach) / at.noise_var
        assert np.linalg.norm(row - truth) <= allowed * max(1.0, exponent / 1e3)


@pytest.mark.parametrize("d", [2, 9])
def test_a_second_run_takes_the_tables_of_the_first(d, monkeypatch):
    data, n = _data(1500, d), 8
    first = sample(data, LINEAR, DDIM(steps=5), n=n, rng=0).x
    built = []
    kind = type(ExactScore(data, LINEAR).route)
    start = kind.__init__
    monkeypatch.setattr(kind, "__init__", lambda self, m: (built.append(m), start(self, m))[1])
    again = sample(data, LINEAR, DDIM(steps=5), n=n, rng=0).x
    other = sample(data, NoiseSchedule.cosine(), DDPM(), n=n, rng=0).x
    assert built == []
    assert (again == first).all()
    monkeypatch.undo()
    alone = sample(
        GaussianMixture.from_data(data.means), NoiseSchedule.cosine(), DDPM(), n=n, rng=0
    )
    assert (other == alone.x).all()


def test_the_tables_of_another_score_are_taken_as_they_are():
    data = _data(1500, 9)
    one = ExactScore(data, LINEAR)
    assert ExactScore(data, NoiseSchedule.cosine(), tables=one.route).route is one.route


@pytest.mark.parametrize("sampler", [DDIM(steps=20), DDPM(), ExactReverse()])
def test_what_ends_on_a_point_is_of_it_and_nothing_beside_it(sampler):
    data = GaussianMixture.from_data(np.random.default_rng(0).standard_normal((30, 12)))
    x = sample(data, LINEAR, sampler, n=50, rng=1).x
    codes, _, offset = within_modes(data, x)
    assert (codes == Region.TRUE_MODE).all()
    assert np.abs(offset).max() < 1e-13
    assert (classify(data, x + 1e-9) != Region.TRUE_MODE).all()


def test_samples_of_points_that_occur_twice_are_dealt_to_each_by_its_weight():
    means = np.array([[0.0], [1.0], [0.0], [2.0], [0.0]])
    weights = np.array([2.0, 1.0, 1.0, 1.0, 1.0])
    data = GaussianMixture(means, 0.0, weights, allow_duplicates=True)
    x = np.repeat([[0.0], [1.0], [2.0]], [400, 100, 100], axis=0)
    counts = np.bincount(within_modes(data, x)[1], minlength=5)
    assert counts.tolist() == [200, 100, 100, 100, 100]
    assert data.equal_modes.tolist() == [0, 1, 0, 3, 0]
    assert GaussianMixture(means[:2], 0.1).equal_modes is None
    wider = GaussianMixture(means[[0, 2]], [0.1, 0.2])  # one place, two widths: told apart
    assert wider.equal_modes is None


def test_the_jacobian_of_modes_without_extent_is_that_of_one_of_them_at_the_least_noise():
    law = GaussianMixture([[0.0, 0.0], [1.0, 0.0]], covariance=np.diag([1.0, 0.0]))
    score = ExactScore(law, LINEAR)
    found = score.jacobian([[0.5, 0.0], [0.1, 0.0], [0.5, 1e-3]], Level(1.0, 1e-300))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 1, 1], -1e300)
    # Along x the two are normal laws of variance 1, half each at x = 1/2: 1/4 - 1.
    np.testing.assert_allclose(found[0, 0, 0], -0.75)
    apart = GaussianMixture([[0.0, 0.0], [0.0, 1.0]], covariance=np.diag([1.0, 0.0]))
    found = ExactScore(apart, LINEAR).jacobian([[0.3, 1e-4]], Level(1.0, 1e-300))
    np.testing.assert_allclose(found[0], np.diag([-1.0, -1e300]))


EYE = np.eye(2)
BAD = {
    "asymmetric": (
        lambda: GaussianMixture(EYE, covariance=[[1.0, 0.2], [0.1, 1.0]]),
        r"symmetric.*0\.2 at \(0, 1\) and 0\.1 across",
    ),
    "asymmetric, second mode": (
        lambda: GaussianMixture(EYE, covariance=[EYE, [[1.0, 0.2], [0.1, 1.0]]]),
        r"symmetric.*\(1, 0, 1\)",
    ),
    "indefinite": (
        lambda: GaussianMixture(EYE, covariance=[[1.0, 2.0], [2.0, 1.0]]),
        r"semidefinite.*eigenvalue -1 beside 3",
    ),
    "indefinite, second mode": (
        lambda: GaussianMixture(EYE, covariance=[EYE, -EYE]),
        r"semidefinite.*eigenvalue -1.*of mode 1",
    ),
    "shape of a matrix": (
        lambda: GaussianMixture(EYE, covariance=np.eye(3)),
        r"covariance must have shape \(2, 2\) or \(2, 2, 2\).*\(3, 3\)",
    ),
    "shape of variances": (
        lambda: GaussianMixture(EYE, variances=[1.0, 1.0, 1.0]),
        r"variances must have shape",
    ),
    "negative variance": (
        lambda: GaussianMixture(EYE, variances=[[1.0, 1.0], [1.0, -2.0]]),
        r"-2\.0 at index \(1, 1\)",
    ),
    "shape of factors": (
        lambda: GaussianMixture(EYE, 0.1, factors=np.ones((2, 3, 1))),
        r"factors must have shape \(2, 2, r\)",
    ),
    "two spreads": (
        lambda: GaussianMixture(EYE, 0.1, covariance=EYE),
        "one of sigma, covariance, variances",
    ),
    "matrices as sigma": (lambda: GaussianMixture(EYE, sigma=EYE), "sigma is one number or a"),
    "density of points": (
        lambda: GaussianMixture.from_data(EYE).log_density(EYE),
        "variance 0, a point mass",
    ),
    "score of points without noise": (
        lambda: ExactScore(GaussianMixture.from_data(EYE), LINEAR).score(EYE, 0),
        "variance 0, a point mass",
    ),
    "flat modes without noise": (
        lambda: GaussianMixture(EYE, covariance=np.diag([1.0, 0.0])).score(EYE),
        "variance 0, a point mass",
    ),
    "eps without noise": (
        lambda: ExactScore(GaussianMixture.from_data(EYE), LINEAR).eps(EYE, Level(1.0, 0.0)),
        "needs noise",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_score_is_refused_in_one_line_with_the_number_at_fault(name):
    call, words = BAD[name]
    with pytest.raises((InputError, NotApplicableError), match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_start_without_signal_needs_a_prediction_of_data():
    from mixdyn import as_model

    clock = NoiseSchedule.linear(zero_terminal_snr=True)
    model = as_model(lambda x, t: np.zeros_like(x), predicts="eps", schedule=clock)
    with pytest.raises(InputError, match=r"alpha = 0|no signal|without signal") as error:
        sample(model, clock, DDIM(steps=5, spacing="trailing"), n=4, d=2, rng=0)
    assert "\n" not in str(error.value)
