"""A mixture of one's own: sample it, classify the ends, and say what the sampler costs."""

import numpy as np

import mixdyn

mixture = mixdyn.GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], 0.05, [0.5, 0.3, 0.2])
schedule = mixdyn.NoiseSchedule.linear()
run = mixdyn.sample(mixture, schedule, mixdyn.DDIM(steps=50), n=10_000, rng=0)
modes, between, elsewhere = np.bincount(mixdyn.classify(mixture, run.x), minlength=3) / len(run.x)
cost = mixdyn.price(mixture, schedule, mixdyn.DDIM(steps=50, eta=1.0))
print(f"at a mode {modes:.2%}, between two {between:.2%}, elsewhere {elsewhere:.2%}")
print(f"with noise in its steps DDIM's paths cost {cost.total:.3f} nats")

# prints
# at a mode 99.99%, between two 0.01%, elsewhere 0.00%
# with noise in its steps DDIM's paths cost 0.939 nats
