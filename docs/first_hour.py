# %% [markdown]
# # The first hour
#
# From a mixture to a verdict: what a diffusion sampler returns when its score is exact, what it
# invents when the score is learned, what can be proved of it, and how to judge one. The file
# `docs/first_hour.py` is this page: a notebook ([.ipynb](first_hour.ipynb)), executed whenever the
# site is built. It runs in under a minute once the kernels are compiled (`mixdyn warmup`), and
# needs `pip install 'mixdyn[learned]'` for the trained network.
#
# ## A mixture
#
# The standard problem of both papers: 25 modes on a grid, as narrow as a hundredth of the distance
# between neighbours. At every noise level it is again a mixture, so density and score are exact.

# %%
import numpy as np
import matplotlib.pyplot as plt

import mixdyn
from mixdyn import presets

mixture = presets.grid()
schedule = mixdyn.NoiseSchedule.linear()  # T = 1000, beta from 1e-4 to 0.02
pair = mixdyn.geometry.pair(mixture, 0, 1)
print(f"{mixture.N} modes in {mixture.d} dimensions, sigma {mixture.sigma:.4f}")
print(f"neighbours are l = {pair.length:.4f} apart, {pair.length / mixture.sigma:.0f} sigma")

# %% [markdown]
# Noise merges the modes: time 0 is clean data, time T pure noise. Sampling runs backwards. Near
# t = 100 neighbours begin to part; that is where a path has to choose.

# %%
rng = np.random.default_rng(0)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharex=True, sharey=True)
for ax, t in zip(axes, (300, 100, 50, 0), strict=True):
    x = mixture.diffused(schedule.alpha_bar[t]).sample(4_000, rng)
    ax.scatter(*x.T, s=1, alpha=0.3)
    ax.set(title=f"t = {t}", aspect="equal")
figure

# %% [markdown]
# ## A sampler
#
# DDIM with 50 steps, with the exact score. `classify` says where each sample ended: at a true mode,
# between two neighbours (an *interpolation*), or elsewhere.

# %%
ddim = mixdyn.DDIM(steps=50)
run = mixdyn.sample(mixture, schedule, ddim, n=20_000, rng=0)


def shares(x):
    counts = np.bincount(mixdyn.classify(mixture, x), minlength=3) / len(x)
    return dict(zip(("true mode", "interpolation", "invalid"), counts.tolist(), strict=True))


print(run.n_eval, "evaluations of the score a sample")
shares(run.x)

# %% [markdown]
# All of them at a mode: with the exact score DDIM does not hallucinate here (claim M1).
#
# ## A hallucination
#
# Now the same sampler on a network that was trained on this mixture, one of those that are shipped.

# %%
from mixdyn.learned.loading import load_model
from verify.measure.networks.models import shipped

network = next(one for one in shipped() if one.name == "grid-reduced-0")
model = load_model(str(network.path), mixture, schedule)
learned = mixdyn.sample(model, schedule, ddim, n=10_000, rng=0, d=mixture.d).x
shares(learned)

# %%
wrong = mixdyn.classify(mixture, learned) == 1
figure, ax = plt.subplots(figsize=(4.4, 4.4))
ax.scatter(*learned[~wrong].T, s=2, color="#8a94a3", label="at a mode")
ax.scatter(*learned[wrong].T, s=6, color="#d55e00", label="between two modes")
ax.set(aspect="equal", title=f"{wrong.mean():.1%} of DDIM's samples were never in the data")
ax.legend(loc="upper right")
figure

# %% [markdown]
# Nearly all of them lie on the segments between neighbours. Noise in the steps insures against
# that: the same network with DDPM's noise (eta = 1) in 250 steps leaves next to none (claims F1,
# X11).

# %%
noisy = mixdyn.sample(model, schedule, mixdyn.DDIM(steps=250, eta=1.0), n=4_000, rng=0, d=2).x
shares(noisy)

# %% [markdown]
# ## A claim
#
# Why between neighbours? The midpoint of two modes is an equilibrium of the flow, and stays one as
# they part. The papers say when it turns unstable: once l² > 4v, v the variance of a mode in static
# coordinates. A claim is a statement, a measurement, a prediction, and what must fail.

# %%
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.sides import Side, Tolerance

STATEMENT = r"""The midpoint's eigenvalue.

Statement: at the midpoint of two equal modes the largest eigenvalue is $l^2/(4v) - 1$.
Hypotheses: none.
Measured: the flow's largest eigenvalue at the midpoint.
Predicted: $l^2/(4v) - 1$.
Evidence: exact.
Source: arXiv 2605.06831 v1, Proposition 4.7
"""
CLAIM = Claim.from_docstring(
    STATEMENT,
    id="X99",
    short="midpoint",
    does_not_show="Anything about a learned score.",
    needs=(modes(2),),
)


@CLAIM.exact(unit="noise levels")
def eigenvalue(case, quarter=0.25):
    v = np.geomspace(0.01, 10.0, 60)
    l = mixdyn.geometry.pair(case.mixture, 0, 1).length
    middle = case.mixture.means[:2].mean(axis=0, keepdims=True)
    measured = [mixdyn.dynamics.flow_spectrum(case.mixture, middle, one)[0, -1] for one in v]
    predicted = quarter * l**2 / v - 1.0
    yield Side(
        "largest eigenvalue",
        np.array(measured),
        equals=predicted,
        tolerance=Tolerance(rtol=1e-9, atol=1e-9),
        where={"v": v},
    )


CLAIM.must_fail(eigenvalue, "a fifth in place of the quarter", quarter=0.2)

# %%
from verify.ledger import cases, rows
from verify.ledger.case import Profile

case = cases.user("two_modes", None, 0, Profile.QUICK)
row = rows.row_of(CLAIM, case, eigenvalue)
wrong = rows.row_of(CLAIM, case, eigenvalue, quarter=0.2)
print(f"{row.id} on two modes: {row.verdict}, {row.n_held} of {row.n} {row.unit}")
print(f"its control, a fifth: {wrong.verdict}")

# %% [markdown]
# Put such a file into `verify/papers/PAPER/claims`, and `mixdyn verify X99` judges it on every
# problem: [your claim](your_claim.md). All the others: `mixdyn verify`.
#
# ## A card
#
# What is true of the samplers that people use? A card says it in words, of any library's, exactly
# on Gaussian data and without a random number. Here DDIM; `diffusers:DDIMScheduler` or
# `my_module:my_sampler` in its place works as well.

# %%
from mixdyn.audit.card import audit

card = audit("ddim", 50)
for sentence in card.words:
    print("-", sentence)

# %% [markdown]
# Next: [your own sampler in your own tests](your_sampler.md),
# [which sampler to take when](which_sampler.md), [from Python](python.md), and what every row of
# [the ledger](ledger.md) means.
