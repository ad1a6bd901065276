#!/usr/bin/env bash
# diffusers 0.42.1, CogVideoXDDIMScheduler: step() takes `eta`, and a `generator` for the noise that it
# weighs, as DDIMScheduler's does, but neither changes a bit of what comes back: eta = 1, which makes
# DDPM of DDIM, returns the samples of eta = 0. Nothing is raised and nothing is printed, so a
# comparison of a noisy with a deterministic run of this scheduler compares one sampler with itself.
# A careful guess would be an eta that does what it does in DDIMScheduler, or none in the signature.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "torch==2.13.0" "diffusers==0.42.1" "numpy==2.4.6"
"$work/venv/bin/python" - <<'PYTHON'
import inspect

import diffusers
import torch
from diffusers import CogVideoXDDIMScheduler, DDIMScheduler

print("diffusers", diffusers.__version__, "torch", torch.__version__)
assert diffusers.__version__ == "0.42.1"


def end(kind, eta, seed):
    """What ten steps return, the prediction being a third of the state."""
    made = kind(clip_sample=False)
    made.set_timesteps(10)
    x, noise = torch.ones(1, 1, 4, 4, dtype=torch.float64), torch.Generator().manual_seed(seed)
    for t in made.timesteps:
        x = made.step(x / 3, t, x, eta=eta, generator=noise).prev_sample
    return x


for kind, alike in ((DDIMScheduler, False), (CogVideoXDDIMScheduler, True)):
    assert {"eta", "generator"} <= inspect.signature(kind.step).parameters.keys()
    moved = float((end(kind, 1.0, 0) - end(kind, 0.0, 0)).abs().max())
    other = float((end(kind, 1.0, 0) - end(kind, 1.0, 1)).abs().max())
    print(f"{kind.__name__}: eta 1 is {moved:.3g} off eta 0, another seed {other:.3g} off this one")
    assert (moved == 0.0 and other == 0.0) == alike
PYTHON
