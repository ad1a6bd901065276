"""Modes of any covariance against 200-bit arithmetic, SciPy and the isotropic engine.

The target is that of the isotropic score, |s - s*| <= 1e-12 (|x| + max |alpha mu|)/lambda_min
max(1, q/1e3), lambda_min the smallest variance of a mode in any direction at that level and q the
largest exponent among the modes that matter, at condition numbers up to 1e12. Truth is computed
from the stored doubles.
"""

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, ortho_group

from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, NoiseSchedule, as_model, sample
from mixdyn.problem.spectrum import eigenpairs
from mixdyn.score import Level

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear()
MODES, D = 3, 5
FORMS = ("full", "shared", "axes", "one axes", "factors", "square factors")


def mixture(form, seed=0, condition=10.0, n_modes=MODES, d=D):
    """Modes a few standard deviations apart, of variances up to 1 and down to 1/condition."""
    rng = np.random.default_rng(seed)
    means, weights = rng.normal(size=(n_modes, d)), rng.uniform(0.2, 1.0, n_modes)
    values = np.exp(rng.uniform(-np.log(condition), 0.0, (n_modes, d)))
    values[:, 0], values[:, 1] = 1.0, 1.0 / condition
    turns = np.array([ortho_group.rvs(d, random_state=rng) for _ in range(n_modes)])
    matrices = (turns * values[:, None, :]) @ turns.transpose(0, 2, 1)
    matrices = 0.5 * (matrices + matrices.transpose(0, 2, 1))
    rank = d if form == "square factors" else 2
    factors = turns[:, :, :rank] * np.sqrt(values[:, None, :rank])
    sigma = {"sigma": np.sqrt(0.5 / condition) * np.arange(1.0, n_modes + 1.0)}
    given = {
        "full": {"covariance": matrices},
        "shared": {"covariance": matrices[0]},
        "axes": {"variances": values},
        "one axes": {"variances": values[0]},
        "factors": {"factors": factors} | sigma,
        "square factors": {"factors": factors} | sigma,
    }
    return GaussianMixture(means, weights=weights, **given[form])


def places(law, seed=1):
    """Points of the law, between its modes, beside one along its narrowest direction, far away."""
    rng = np.random.default_rng(seed)
    between = 0.5 * (law.means[:1] + law.means[1:2])
    _, rows = eigenpairs(law.covariance.matrices(law.d)[0])
    narrow = law.means[0] + np.array([1.0, 5.0])[:, None] * np.sqrt(law.smallest_var) * rows[-1]
    return np.concatenate(
        [law.sample(4, rng=2), between, narrow, 30.0 * rng.normal(size=(2, law.d))]
    )


def ball_score(law, x, at):
    """(score (n, d), q (n,)) at a level by arithmetic in 200 bits, from the stored doubles."""
    old, flint.ctx.prec = flint.ctx.prec, 200
    try:
        return _ball_score(law, x, at)
    finally:
        flint.ctx.prec = old


def balls(array):
    return flint.arb_mat([[flint.arb(float(v)) for v in row] for row in np.atleast_2d(array)])


def _ball_score(law, x, at):
    d, held = law.d, law.covariance.data
    signal, noise = flint.arb(at.signal_var), flint.arb(at.noise_var)
    eye = flint.arb_mat([[flint.arb(int(i == j)) for j in range(d)] for i in range(d)])
    inverses, logs = [], []
    for k in range(law.N):
        if "variances" in held:
            row = np.broadcast_to(held["variances"], (law.N, d))[k]
            clean = flint.arb_mat([[eye[i, j] * float(row[i]) for j in range(d)] for i in range(d)])
        elif "factors" in held:
            f, std = balls(held["factors"][k]), flint.arb(float(held["sigma"][k]))
            clean = f * f.transpose() + eye * (std * std)
        else:
            clean = balls(np.broadcast_to(held["covariance"], (law.N, d, d))[k])
        marginal = clean * signal + eye * noise
        inverses.append(marginal.inv())
        logs.append(flint.arb(float(law.weights[k])).log() - marginal.det().log() / 2)
    scores, exponents = [], []
    for point in x:
        offsets = [
            (balls(law.means[k]) * flint.arb(at.alpha) - balls(point)).transpose()
            for k in range(law.N)
        ]
        pulls = [inverse * u for inverse, u in zip(inverses, offsets, strict=True)]
        q = [(u.transpose() * p)[0, 0] / 2 for u, p in zip(offsets, pulls, strict=True)]
        terms = [log - one for log, one in zip(logs, q, strict=True)]
        top = max(terms, key=lambda ball: float(ball.mid()))
        e = [(term - top).exp() for term in terms]
        total = sum(e, flint.arb(0))
        score = [
            sum((e[k] * pulls[k][j, 0] for k in range(law.N)), flint.arb(0)) / total
            for j in range(d)
        ]
        scores.append([float(one.mid()) for one in score])
        exponents.append(
            max(float(q[k].mid()) for k in range(law.N) if float((e[k] / total).mid()) > 1e-20)
        )
    return np.array(scores), np.array(exponents)


@pytest.mark.parametrize("condition", [10.0, 1e6, 1e12])
@pytest.mark.parametrize("form", FORMS)
def test_the_score_keeps_its_accuracy_at_every_condition(form, condition, record_property):
    law = mixture(form, condition=condition)
    exact = ExactScore(law, SCHEDULE)
    worst = 0.0
    for at in (Level(1.0, 0.0), Level(1.0, 1e-9), Level(0.6, 0.64)):
        x = places(law)
        truth, q = ball_score(law, x, at)
        found = exact.score(x, at) if at.noise_var else law.score(x)
        size = np.linalg.norm(x, axis=1) + at.alpha * np.linalg.norm(law.means, axis=1).max()
        least = at.signal_var * law.smallest_var + at.noise_var
        allowed = 1e-12 * size / least * np.maximum(1.0, q / 1e3)
        units = np.linalg.norm(found - truth, axis=1) / allowed
        worst = max(worst, float(units.max()))
    record_property("worst error over the target", worst)
    assert worst <= 1.0


def test_eigenvalues_of_a_matrix_of_condition_1e12_keep_their_digits():
    matrices = mixture("full", condition=1e12, n_modes=4, d=12).covariance.matrices(12)
    for matrix in matrices:
        values, rows = eigenpairs(matrix)
        flint.ctx.prec, old = 300, flint.ctx.prec
        try:
            truth = sorted(float(v.real.mid()) for v in flint.acb_mat(balls(matrix)).eig())
        finally:
            flint.ctx.prec = old
        assert np.allclose(values[::-1], truth, rtol=1e-13, atol=0)
        assert np.allclose(rows @ rows.T, np.eye(12), rtol=0, atol=1e-14)
        plain = np.linalg.eigvalsh(matrix)  # what is done for: it loses them
        assert not np.allclose(plain, truth, rtol=1e-7, atol=0)


def scipy_terms(law, x):
    """log(w_k p_k(x)) (n, N) and the covariances."""
    matrices = law.covariance.matrices(law.d)
    laws = [multivariate_normal(m, c) for m, c in zip(law.means, matrices, strict=True)]
    return np.array([np.log(w) + p.logpdf(x) for w, p in zip(law.weights, laws, strict=True)]).T


@pytest.mark.parametrize("form", FORMS)
def test_densities_and_responsibilities_are_those_of_scipy(form):
    law, x = mixture(form), places(mixture(form))
    terms = scipy_terms(law, x)
    top = terms.max(axis=1)
    log_p = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
    assert np.allclose(law.log_density(x), log_p, rtol=1e-12, atol=1e-12)
    assert np.allclose(law.responsibilities(x), np.exp(terms - log_p[:, None]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_the_score_is_the_gradient_and_its_jacobian_the_hessian(form):
    law = mixture(form)
    x, h = law.sample(5, rng=0), 1e-5
    steps = h * np.eye(law.d)
    slope = [(law.log_density(x + e) - law.log_density(x - e)) / (2 * h) for e in steps]
    assert np.allclose(law.score(x), np.array(slope).T, rtol=1e-6, atol=1e-6)
    bend = [(law.score(x + e) - law.score(x - e)) / (2 * h) for e in steps]
    jacobian = law.score_jacobian(x)
    assert np.allclose(jacobian, np.moveaxis(bend, 0, 2), rtol=1e-5, atol=1e-5)
    assert (jacobian == jacobian.transpose(0, 2, 1)).all()


@given(seed=st.integers(0, 2**32 - 1), form=st.sampled_from(("full", "shared", "factors")))
def test_a_rotation_of_the_modes_rotates_the_score(seed, form):
    law = mixture(form, seed)
    turn = ortho_group.rvs(law.d, random_state=seed)
    given = dict(law.covariance.data)
    if "covariance" in given:
        turned = turn @ given["covariance"] @ turn.T
        given["covariance"] = 0.5 * (turned + np.swapaxes(turned, -1, -2))
    else:
        given["factors"] = turn @ given["factors"]
    other = GaussianMixture(law.means @ turn.T, weights=law.weights, **given)
    x = law.sample(6, rng=1)
    assert np.allclose(other.score(x @ turn.T), law.score(x) @ turn.T, rtol=1e-10, atol=1e-10)
    assert np.allclose(other.log_density(x @ turn.T), law.log_density(x), rtol=0, atol=1e-10)


@given(seed=st.integers(0, 2**32 - 1), t=st.integers(1, 1000))
def test_isotropic_covariances_are_the_isotropic_engine_to_rounding(seed, t):
    rng = np.random.default_rng(seed)
    means, sigma = rng.normal(size=(4, 3)), rng.uniform(0.1, 1.0, 4)
    plain = GaussianMixture(means, sigma, rng.uniform(0.1, 1.0, 4))
    square = np.square(sigma)
    forms = (
        {"covariance": square[:, None, None] * np.eye(3)},
        {"variances": square[:, None].repeat(3, 1)},
        {"factors": 1e-9 * np.ones((4, 3, 1)), "sigma": sigma},
    )
    x = rng.normal(size=(9, 3))
    for form in forms:
        law = GaussianMixture(means, weights=plain.weights, **form)
        ours, theirs = ExactScore(law, SCHEDULE), ExactScore(plain, SCHEDULE)
        for name in ("eps", "x0", "v", "score", "log_density", "responsibilities", "jacobian"):
            one, other = getattr(ours, name)(x, t), getattr(theirs, name)(x, t)
            assert np.allclose(one, other, rtol=1e-11, atol=1e-11 * max(1, abs(other).max())), name


@pytest.mark.parametrize("form", FORMS)
def test_tweedie_joins_the_noise_and_the_data_that_are_predicted(form):
    exact = ExactScore(mixture(form, condition=1e4), SCHEDULE)
    x = np.random.default_rng(0).normal(size=(20, D))
    for t in (1, 500, 1000):
        back = SCHEDULE.alpha[t] * exact.x0(x, t)
        back += np.sqrt(SCHEDULE.noise_var[t]) * exact.eps(x, t)
        assert np.allclose(back, x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_bits_do_not_depend_on_what_is_computed_beside(form):
    law = mixture(form, d=7)
    exact, x = ExactScore(law, SCHEDULE), np.random.default_rng(0).normal(size=(300, 7))
    for f in (exact.eps, exact.x0, exact.responsibilities, exact.log_density):
        whole = f(x, 300)
        assert all(
            (f(x[rows], 300) == whole[rows]).all() for rows in (slice(3, 4), slice(130, 290))
        )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", [DDIM(12), DDPM()], ids=str)
def test_all_steps_at_once_are_one_step_after_the_other_bit_for_bit(form, sampler):
    schedule = NoiseSchedule.linear(20, 1e-4, 0.4)
    exact = ExactScore(mixture(form, d=7), schedule)
    x = np.random.default_rng(0).normal(size=(150, 7))
    fused = sample(exact, schedule, sampler, x=x, rng=5).x
    model = as_model(exact.eps, predicts="eps", schedule=schedule)
    assert np.array_equal(fused, sample(model, schedule, sampler, x=x, rng=5).x)


@pytest.mark.parametrize("form", FORMS)
def test_draws_have_the_mean_and_the_covariance_of_the_law(form):
    law = mixture(form)
    x = law.sample(200_000, rng=3)
    mean = law.weights @ law.means
    centred = law.means - mean
    within = np.einsum("k,kij->ij", law.weights, law.covariance.matrices(law.d))
    cov = within + np.einsum("k,ki,kj->ij", law.weights, centred, centred)
    assert np.allclose(x.mean(axis=0), mean, rtol=0, atol=6 * np.sqrt(cov.max() / len(x)))
    assert np.allclose(np.cov(x.T), cov, rtol=0, atol=12 * cov.max() / np.sqrt(len(x)))


@pytest.mark.parametrize("form", ["full", "shared", "factors"])
def test_samplers_end_in_a_single_mode_of_its_covariance(form):
    """DDPM in many steps ends in the covariance of one mode to within its discretisation."""
    law = mixture(form, n_modes=1)
    x = sample(law, SCHEDULE, DDPM(), n=4000, rng=0).x
    cov = law.covariance.matrices(law.d)[0]
    assert np.allclose(np.cov(x.T), cov, rtol=0, atol=0.12)
    again = sample(law, SCHEDULE, DDIM(), n=40, rng=0).x
    assert (sample(law, SCHEDULE, DDIM(), n=300, rng=0).x[:40] == again).all()
