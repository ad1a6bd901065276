"""A library's sampler and its plan on one mixture, with exact predictions and our normals."""

import itertools

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule, sample, transcribe
from mixdyn.affine.drivers import driver_of
from mixdyn.problem.noise import Stream, standard_normals

SCHEDULE = NoiseSchedule.linear()
BIMODAL = GaussianMixture([[-0.5, 0.1], [0.5, 0.0]], 0.05)


def prediction(predicts, x, at):
    """The exact one on the mixture at a level."""
    if at.alpha == 0.0:
        eps, x0 = x, BIMODAL.weights @ BIMODAL.means
    else:
        eps = ExactScore(BIMODAL, SCHEDULE).eps(x, at)
        x0 = (x - at.noise_std * eps) / at.alpha
    if predicts == "score":
        return -eps / at.noise_std
    kinds = {"eps": eps, "x0": x0 + 0.0 * x, "velocity": eps - x0}
    return {**kinds, "v": at.alpha * eps - at.noise_std * x0}[predicts]


def replayed(spec, steps, settings):
    """(ends of the sampler itself, of its plan)."""
    plan = transcribe(spec, steps, **settings)
    n, seed, t = 300, 5, int(plan.grid(SCHEDULE).times[0])
    draws = itertools.count()

    def draw(shape, time=None):
        return standard_normals(seed, *shape, int(plan.draw_times[next(draws)]))

    x_T = plan.start_std * standard_normals(seed, n, 2, t, stream=Stream.START)
    driver = driver_of(spec, steps, settings)
    ends = driver.run(x_T, lambda x, at: prediction(plan.predicts, x, at), draw)
    return ends, sample(BIMODAL, SCHEDULE, plan, n=n, rng=seed).x
