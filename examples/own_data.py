"""A data set's own score: it memorises. Which noise still leaves a choice between the points?"""

import numpy as np

import mixdyn

points = np.random.default_rng(0).normal(size=(200, 8))
data = mixdyn.GaussianMixture.from_data(points, bandwidth=0.0)  # point masses
schedule = mixdyn.NoiseSchedule.linear()
x = mixdyn.sample(data, schedule, mixdyn.DDIM(steps=50), n=200, rng=0).x
nearest = np.linalg.norm(x[:, None] - points, axis=2).min(axis=1)
copied = mixdyn.memorisation(data)
print(f"copies of a point: {np.mean(nearest < 0.1):.0%} of the samples")
print(f"half of the clones return to their point from noise variance {copied.rho:.3f} on")

# prints
# copies of a point: 100% of the samples
# half of the clones return to their point from noise variance 0.418 on
