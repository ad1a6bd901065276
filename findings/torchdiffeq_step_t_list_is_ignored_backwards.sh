#!/usr/bin/env bash
# torchdiffeq 0.2.5, odeint(method="dopri5") with options={"step_t": [t]}, which makes it land on t:
# given as a list it does so when time runs forwards (no call beyond t), and is silently without
# effect when time runs backwards, as in every probability flow: the solver turns the sign of the
# times, and of step_t only where that is a tensor; the list names a time that is then never met. Its
# source says of that case that an error will be raised; none is. A field that is defined on the
# interval alone (a noise level, say) is then asked beyond its end, at t = -0.001 for 0.001. A careful
# guess would be that a list of floats and a tensor of them are one thing, as they are forwards.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "torch==2.13.0" "numpy==2.4.6" "torchdiffeq==0.2.5"
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import torch
import torchdiffeq
from torchdiffeq import odeint

warnings.simplefilter("error")  # none comes
print("torchdiffeq", torchdiffeq.__version__, "torch", torch.__version__)
assert torchdiffeq.__version__ == "0.2.5"


def asked(times, **options):
    """All times at which dx/dt = -t x/2 is asked between the first and the last of `times`."""
    seen = []

    def field(t, x):
        seen.append(float(t))
        return -0.5 * x * t.clamp(min=0)

    ts = torch.tensor(times, dtype=torch.float64)
    odeint(field, torch.ones(3, dtype=torch.float64), ts, method="dopri5", rtol=1e-3, atol=1e-3,
           options=options)
    return seen


UP, DOWN, FIRST = [0.0, 0.5, 0.999], [1.0, 0.5, 0.001], {"first_step": 0.1}
tensor = lambda t: torch.tensor([t], dtype=torch.float64)  # noqa: E731
up = max(asked(UP, step_t=[0.999], **FIRST))
print("forwards to 0.999, step_t a list:", up)
down = {kind: min(asked(DOWN, step_t=step_t, **FIRST)) for kind, step_t in
        (("a list", [0.001]), ("a tensor", tensor(0.001)))}
for kind, last in down.items():
    print(f"backwards to 0.001, step_t {kind}:", last)
assert abs(up - 0.999) < 1e-12
assert abs(down["a tensor"] - 0.001) < 1e-12
assert down["a list"] < 0.0
print("a list is ignored backwards")
PYTHON
