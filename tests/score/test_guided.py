"""Guidance: the combination of two scores that it says, on every path, with every sampler."""

import numpy as np
import pytest

from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, GuidedScore, NoiseSchedule, sample
from mixdyn.samplers.options import samplers
from mixdyn.score import Level, level
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(40, 1e-3, 0.3)
MEANS = np.array([[0.0, 1.0], [1.0, -1.0], [-1.5, 0.2], [0.5, 2.0]])
WEIGHTS = [0.1, 0.4, 0.3, 0.2]
TILTED = np.array([[0.3, 0.1], [0.1, 0.2]])
MIXTURES = {
    "one sigma": GaussianMixture(MEANS, 0.3, WEIGHTS),
    "sigma per mode": GaussianMixture(MEANS, [0.2, 0.3, 0.4, 0.5], WEIGHTS),
    "one covariance": GaussianMixture(MEANS, weights=WEIGHTS, covariance=TILTED),
    "covariances": GaussianMixture(
        MEANS, weights=WEIGHTS, covariance=[k * TILTED for k in (1.0, 0.5, 2.0, 1.5)]
    ),
    "variances": GaussianMixture(MEANS, weights=WEIGHTS, variances=[[0.1, 0.2]] * 4),
    "low rank": GaussianMixture(
        MEANS, 0.1, WEIGHTS, factors=np.arange(8.0).reshape(4, 2, 1) / 8.0 + 0.1
    ),
    "points": GaussianMixture(MEANS, 0.0, WEIGHTS),
}
CLASS = (1, 3)


def states(n=6, d=2):
    return np.random.default_rng(0).normal(size=(n, d))


def conditional(mixture):
    """The class's own mixture, written down by hand."""
    kept = {
        "covariance": mixture.covariance.matrices(2)[list(CLASS)]
        if mixture.covariance is not None
        else None
    }
    sigma = None if mixture.covariance is not None else mixture.sigmas[list(CLASS)]
    return GaussianMixture(MEANS[list(CLASS)], sigma, np.array(WEIGHTS)[list(CLASS)], **kept)


@pytest.mark.parametrize("weight", [-1.0, 0.0, 0.5, 7.0])
@pytest.mark.parametrize("name", MIXTURES)
def test_the_guided_score_is_that_of_the_class_and_weight_times_its_lead(name, weight):
    mixture, x = MIXTURES[name], states()
    for at in (3, level(SCHEDULE, 17), Level(1.0, 0.4)):
        own, every = (ExactScore(m, SCHEDULE).eps(x, at) for m in (conditional(mixture), mixture))
        expected = own + weight * (own - every)
        got = GuidedScore(mixture, SCHEDULE, CLASS, weight).eps(x, at)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_weight_0_is_the_class_alone_to_the_bit_and_a_mode_is_a_class():
    mixture, x = MIXTURES["one sigma"], states()
    alone = sample(mixture.subset([2]), SCHEDULE, DDIM(steps=9), x=x).x
    guided = sample(GuidedScore(mixture, SCHEDULE, 2, 0.0), SCHEDULE, DDIM(steps=9), x=x).x
    np.testing.assert_allclose(guided, alone, rtol=1e-13, atol=1e-15)
    assert GuidedScore(mixture, SCHEDULE, np.int64(2), 1).modes == (2,)
    assert GuidedScore(mixture, SCHEDULE, (3, 0), 1).modes == (0, 3)


@pytest.mark.parametrize("name", sorted(samplers()))
def test_every_sampler_that_takes_a_model_runs_a_guided_score(name):
    kind = samplers()[name]
    schedule = NoiseSchedule.linear(60, 1e-3, 0.3)
    guided = GuidedScore(MIXTURES["covariances"], schedule, CLASS, 1.5)
    sampler = kind.chosen({}, schedule)
    if kind.mixture_only is not None:
        with pytest.raises(InputError):
            sample(guided, schedule, sampler, n=40, rng=0)
        return
    run = sample(guided, schedule, sampler, n=40, rng=0)
    assert np.isfinite(run.x).all()
    means = MIXTURES["covariances"].means[list(CLASS)]
    near = np.linalg.norm(run.x[:, None] - means, axis=2).min(axis=1)
    assert np.median(near) < 1.5


@pytest.mark.parametrize("sampler", [DDIM(steps=12), DDPM()])
def test_one_clock_one_run_whatever_the_path(sampler):
    mixture, x = MIXTURES["sigma per mode"], states()
    other = NoiseSchedule.from_alphas_sigmas(1.0, np.sqrt(SCHEDULE.rho[1:]))
    first = sampler.grid(SCHEDULE).times[0]
    ends = [
        sample(GuidedScore(mixture, path, 0, 2.0), path, sampler, x=x * path.scale[first], rng=3).x
        for path in (SCHEDULE, other)
    ]
    np.testing.assert_allclose(*ends, rtol=1e-8, atol=1e-10)


def test_without_signal_it_predicts_the_guided_mean():
    mixture, path = MIXTURES["one sigma"], NoiseSchedule.flow_matching(30)
    guided = GuidedScore(mixture, path, CLASS, 2.0)
    own = mixture.subset(CLASS)
    centre, every = own.weights @ own.means, mixture.weights @ mixture.means
    expected = np.tile(centre + 2.0 * (centre - every), (6, 1))
    np.testing.assert_allclose(guided.x0(states(), 30), expected, rtol=1e-12)
    assert np.isfinite(sample(guided, path, DDIM(steps=5), n=20, rng=0).x).all()


def test_any_two_models_guide_also_those_that_know_times_only():
    mixture = MIXTURES["one sigma"]

    class Times:
        def __init__(self, law):
            self.exact = ExactScore(law, SCHEDULE)

        def eps(self, x, t):
            assert type(t) is int
            return self.exact.eps(x, t)

    x = states()
    two = GuidedScore.between(Times(mixture.subset(CLASS)), Times(mixture), SCHEDULE, 1.5)
    same = GuidedScore(mixture, SCHEDULE, CLASS, 1.5)
    np.testing.assert_allclose(two.eps(x, 11), same.eps(x, 11), rtol=1e-12)
    run = [sample(model, SCHEDULE, DDIM(steps=7), x=x).x for model in (two, same)]
    np.testing.assert_allclose(*run, rtol=1e-10)
    with pytest.raises(InputError, match="between the times"):
        two.eps(x, Level.of_rho(0.371))


@pytest.mark.parametrize(
    ("modes", "weight"),
    [(4, 1.0), (-1, 1.0), ([], 1.0), ([1, 1], 1.0), (True, 1.0), ("0", 1.0), (0, np.nan), (0, "1")],
)
def test_what_is_no_class_and_no_weight_is_refused(modes, weight):
    with pytest.raises(InputError):
        GuidedScore(MIXTURES["one sigma"], SCHEDULE, modes, weight)


def test_two_models_of_two_dimensions_are_refused():
    line = GaussianMixture([[0.0], [1.0]], 0.1)
    with pytest.raises(InputError, match="one dimension"):
        GuidedScore.between(line, MIXTURES["one sigma"], SCHEDULE, 1.0)


@pytest.mark.parametrize("name", MIXTURES)
def test_a_subset_of_modes_is_the_law_given_one_of_them(name):
    mixture = MIXTURES[name]
    own = mixture.subset(CLASS)
    np.testing.assert_allclose(own.weights, np.array([0.4, 0.2]) / 0.6, rtol=1e-15)
    np.testing.assert_array_equal(own.means, MEANS[list(CLASS)])
    if mixture.covariance is None:
        np.testing.assert_array_equal(own.sigmas, mixture.sigmas[list(CLASS)])
    else:
        kept = mixture.covariance.matrices(2)[list(CLASS)]
        np.testing.assert_allclose(own.covariance.matrices(2), kept, rtol=1e-14)
