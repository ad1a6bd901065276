"""What a score predicts: four parametrisations of one prediction, and Tweedie's identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule, PerturbedScore, as_model, presets
from mixdyn.score import Level, from_eps, level, model_for, to_eps
from mixdyn.support.errors import InputError

# -- the four parametrisations describe one prediction, whichever a model is written in ------------


EPS = np.finfo(float).eps
SCHEDULE = NoiseSchedule.linear(50, 1e-4, 0.3)
KINDS = ["eps", "x0", "v", "score"]
MIXTURES = {
    "grid": presets.grid(2, sigma=0.3),
    "per-mode sigma": GaussianMixture([[0.0, 1.0], [1.0, -1.0]], [0.2, 0.7], [0.3, 0.7]),
}
X = np.random.default_rng(0).normal(size=(5, 2))


@pytest.mark.parametrize("at", [Level(0.6, 0.64), level(SCHEDULE, 1), level(SCHEDULE, 50)])
@pytest.mark.parametrize("kind", KINDS)
def test_converting_there_and_back_changes_at_most_rounding(kind, at):
    eps = np.random.default_rng(1).normal(size=X.shape)
    back = to_eps(from_eps(eps, X, at, kind), X, at, kind)
    # Every route adds at most x to a multiple of eps, then divides by noise_std.
    allowed = 8 * EPS * (np.abs(eps) + np.abs(X) / at.noise_std)
    assert (np.abs(back - eps) <= allowed).all()


def test_the_four_parametrisations_satisfy_their_definitions():
    alpha, noise_std = 0.6, 0.8
    x0, eps = np.array([[1.5]]), np.array([[-0.7]])
    x = alpha * x0 + noise_std * eps
    at = Level(alpha, noise_std**2)
    assert np.allclose(from_eps(eps, x, at, "x0"), x0, rtol=1e-15)
    assert np.allclose(from_eps(eps, x, at, "v"), alpha * eps - noise_std * x0, rtol=1e-15)
    assert np.allclose(from_eps(eps, x, at, "score"), -(x - alpha * x0) / noise_std**2, rtol=1e-15)
    for kind in KINDS:
        assert np.allclose(to_eps(from_eps(eps, x, at, kind), x, at, kind), eps, rtol=1e-14)


def test_amplitudes_square_to_the_variances_of_the_schedule():
    at = level(SCHEDULE, 7)
    assert np.isclose(at.alpha**2, SCHEDULE.alpha_bar[7], rtol=4 * EPS)
    assert np.isclose(at.noise_std**2, SCHEDULE.noise_var[7], rtol=4 * EPS)


@pytest.mark.parametrize("t", [1, 25, 50])
@pytest.mark.parametrize("name", MIXTURES)
def test_the_exact_predictions_agree_with_one_another(name, t):
    model = ExactScore(MIXTURES[name], SCHEDULE)
    at = level(SCHEDULE, t)
    eps, x0, v, score = model.eps(X, t), model.x0(X, t), model.v(X, t), model.score(X, t)
    size = 1 + np.abs(X)
    assert (np.abs(at.alpha * x0 + at.noise_std * eps - X) <= 1e-13 * size).all()
    assert (np.abs(at.alpha * eps - at.noise_std * x0 - v) <= 1e-13 * size / at.noise_std).all()
    assert (np.abs(eps + at.noise_std * score) <= 1e-12 * size / at.noise_std).all()


def test_the_clean_prediction_keeps_its_digits_where_nothing_is_left_of_the_signal():
    """(x - noise_std eps)/alpha loses log10(1/alpha) digits: 5 of them here."""
    schedule = NoiseSchedule.from_betas([0.9] * 10)
    mixture = GaussianMixture([[0.3], [1.7]], 0.1, [0.25, 0.75])
    model, t = ExactScore(mixture, schedule), 10
    x = np.array([[0.4], [-2.0]])
    alpha, nu = schedule.alpha[t], schedule.noise_var[t]
    var = 0.01 * alpha**2 + nu
    gamma = np.log(mixture.weights) - (x - alpha * mixture.means.T) ** 2 / (2 * var)
    gamma = np.exp(gamma - np.logaddexp.reduce(gamma, axis=1, keepdims=True))
    expected = (nu * (gamma @ mixture.means) + 0.01 * alpha * x) / var
    direct = np.abs(model.x0(x, t) - expected).max()
    through_eps = np.abs(from_eps(model.eps(x, t), x, level(schedule, t), "x0") - expected).max()
    assert direct <= 1e-14
    assert through_eps > 100 * direct
    v = alpha * (x - alpha * expected) / np.sqrt(nu) - np.sqrt(nu) * expected
    assert np.abs(model.v(x, t) - v).max() <= 2e-14


def test_the_marginal_at_time_zero_is_the_mixture_and_has_a_score_but_no_noise_prediction():
    mixture = MIXTURES["grid"]
    model = ExactScore(mixture, SCHEDULE)
    assert (model.score(X, 0) == mixture.score(X)).all()
    assert model.marginal(0) is mixture
    for kind in ("eps", "x0", "v"):
        with pytest.raises(InputError, match=r"t must be an integer in 1\.\.50"):
            getattr(model, kind)(X, 0)


@pytest.mark.parametrize("t", [-1, 51, 1.0, True])
@pytest.mark.parametrize("kind", [*KINDS, "log_density", "responsibilities", "jacobian"])
def test_a_time_off_the_schedule_is_refused(kind, t):
    with pytest.raises(InputError, match="t must be an integer"):
        getattr(ExactScore(MIXTURES["grid"], SCHEDULE), kind)(X, t)


# -- adapters ------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_function_in_any_parametrisation_and_index_becomes_the_same_model(kind, base):
    exact = ExactScore(MIXTURES["per-mode sigma"], SCHEDULE)
    seen = []

    def f(x, index):
        seen.append(index)
        return getattr(exact, kind)(x, index + 1 - base)

    model = as_model(f, predicts=kind, schedule=SCHEDULE, index_base=base)
    for t in (1, 50):
        eps, at = exact.eps(X, t), level(SCHEDULE, t)
        assert (np.abs(model.eps(X, t) - eps) <= 1e-13 * (1 + np.abs(X)) / at.noise_std).all()
    assert seen == [base, 49 + base]


def test_a_perturbed_score_adds_its_error_to_the_score():
    exact = ExactScore(MIXTURES["grid"], SCHEDULE)
    model = PerturbedScore(MIXTURES["grid"], SCHEDULE, lambda x, t: 0.1 * t * np.sin(x))
    assert model.d == 2
    for t in (1, 30):
        at = level(SCHEDULE, t)
        score = -model.eps(X, t) / at.noise_std
        assert np.allclose(score, exact.score(X, t) + 0.1 * t * np.sin(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: as_model(3), "callable"),
        (lambda: as_model(np.sin, predicts="noise"), "predicts must be one of"),
        (lambda: as_model(np.sin, predicts="x0"), "needs its schedule"),
        (lambda: as_model(np.sin, predicts="v", schedule=[0.1]), "needs its schedule"),
        (lambda: as_model(np.sin, index_base=2), "index_base must be an integer in 0..1"),
        (lambda: as_model(np.sin, index_base=True), "index_base must be an integer in 0..1"),
        (lambda: as_model(lambda x, t: x[:, 0]).eps(X, 1), "one row per point"),
        (lambda: as_model(lambda x, t: None).eps(X, 1), "an array of real numbers"),
        (lambda: to_eps(X, X, Level(0.6, 0.64), "noise"), "predicts must be one of"),
        (lambda: from_eps(X, X, Level(0.6, 0.64), "x_0"), "predicts must be one of"),
        (lambda: PerturbedScore(3, SCHEDULE, np.sin), "GaussianMixture or an object with eps"),
        (lambda: model_for("net", SCHEDULE), "GaussianMixture or an object with eps"),
        (
            lambda: PerturbedScore(presets.grid(), SCHEDULE, lambda x, t: 0.0).eps(X, 1),
            "one row per point",
        ),
    ],
)
def test_bad_models_are_refused(build, rule):
    with pytest.raises(InputError, match=rule):
        build()


# -- Tweedie: the score is the posterior mean, its Jacobian the posterior covariance ---------------

# x_t = alpha x_0 + noise, so with nu = 1 - alpha_bar
#
#     E[x_0 | x_t] = (x_t + nu s)/alpha,    Cov[x_0 | x_t] = nu (I + nu D s)/alpha^2.
#
# The left sides come from quadrature over x_0 of the prior times the forward kernel, which knows
# nothing of scores; the trapezoid rule is exact to rounding for sums of Gaussians on a fine grid.


HUNDRED = NoiseSchedule.linear(100, 0.002, 0.2)


@st.composite
def lines(draw):
    """A 1-D mixture, a time and two points where p_t is not negligible."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_modes = draw(st.integers(1, 4))
    sigma = np.exp(rng.uniform(np.log(0.05), 0, n_modes))
    sigma = sigma if draw(st.booleans()) else float(sigma[0])
    means = rng.uniform(-2, 2, (n_modes, 1))
    mixture = GaussianMixture(means, sigma, rng.uniform(0.1, 1, n_modes))
    t = draw(st.integers(1, HUNDRED.T))
    k = rng.integers(n_modes, size=2)
    std_t = np.sqrt(ExactScore(mixture, HUNDRED).variances(t))
    x = HUNDRED.alpha[t] * means[k, 0] + 3 * std_t[k] * rng.standard_normal(2)
    return mixture, t, x


def posterior_moments(mixture, x, t):
    """(log p_t(x), E[x0 | x], Var[x0 | x]) by quadrature over x0."""
    alpha, nu = HUNDRED.alpha[t], HUNDRED.noise_var[t]
    x0 = np.linspace(-20, 20, 40_001)
    prior = -((x0[:, None] - mixture.means[:, 0]) ** 2) / (2 * mixture.sigmas**2)
    prior += np.log(mixture.weights / mixture.sigmas)
    joint = np.logaddexp.reduce(prior, axis=1) - (x - alpha * x0) ** 2 / (2 * nu)
    top = joint.max()
    density = np.exp(joint - top)
    total = density.sum()
    mean = (density @ x0) / total
    log_p = top + np.log(total * (x0[1] - x0[0]) / (2 * np.pi * np.sqrt(nu)))
    return log_p, mean, density @ (x0 - mean) ** 2 / total


@pytest.mark.compiled
@given(lines())
def test_score_and_jacobian_are_the_posterior_mean_and_variance(scene):
    mixture, t, points = scene
    model = ExactScore(mixture, HUNDRED)
    alpha, nu = HUNDRED.alpha[t], HUNDRED.noise_var[t]
    for x in points:
        log_p, mean, variance = posterior_moments(mixture, x, t)
        at = np.array([[x]])
        score, jacobian = model.score(at, t)[0, 0], model.jacobian(at, t)[0, 0, 0]
        x0, eps = model.x0(at, t)[0, 0], model.eps(at, t)[0, 0]
        # The smallest posterior standard deviation spans 20 nodes; logs of size q round to q ulp.
        assert abs(x0 - mean) <= 1e-12 * (1 + abs(x) / alpha)
        assert abs((x + nu * score) / alpha - mean) <= 1e-12 * (1 + abs(x)) / alpha
        assert abs((x - np.sqrt(nu) * eps) / alpha - mean) <= 1e-12 * (1 + abs(x)) / alpha
        assert abs(nu * (1 + nu * jacobian) / alpha**2 - variance) <= 1e-11 * nu / alpha**2
        assert abs(model.log_density(at, t)[0] - log_p) <= 1e-12 * (10 + abs(log_p))


@pytest.mark.compiled
@given(lines(), st.integers(1, 3))
def test_the_posterior_covariance_in_several_dimensions_is_that_of_bayes(scene, extra):
    """Modes by Bayes' rule: each is Gaussian with precision 1/sigma^2 + alpha^2/nu."""
    mixture, t, points = scene
    d = 1 + extra
    rng = np.random.default_rng(int(abs(points[0]) * 1e6))
    means = np.column_stack([mixture.means, rng.uniform(-2, 2, (mixture.N, extra))])
    wide = GaussianMixture(means, mixture.sigma, mixture.weights)
    model = ExactScore(wide, HUNDRED)
    alpha, nu = HUNDRED.alpha[t], HUNDRED.noise_var[t]
    x = alpha * means[:1] + 2 * np.sqrt(model.variances(t)[0]) * rng.standard_normal((1, d))
    var = 1 / (1 / wide.sigmas**2 + alpha**2 / nu)
    centre = var[:, None] * (means / wide.sigmas[:, None] ** 2 + alpha * x / nu)
    gamma = model.responsibilities(x, t)[0]
    mean = gamma @ centre
    spread = centre - mean
    covariance = np.einsum("k,ki,kj->ij", gamma, spread, spread) + gamma @ var * np.eye(d)
    tweedie = nu * (np.eye(d) + nu * model.jacobian(x, t)[0]) / alpha**2
    assert np.abs(tweedie - covariance).max() <= 1e-11 * nu / alpha**2 * (1 + np.abs(x).max())
    assert np.abs(model.x0(x, t)[0] - mean).max() <= 1e-13 * (1 + np.abs(x).max() / alpha)
