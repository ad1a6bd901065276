#!/usr/bin/env bash
# torch 2.13.0, torch.optim.Adam(fused=True) on the CPU: it pairs parameter, gradient and moments by
# their place in memory, not by their indices. Where a parameter is channels-last and its moments,
# loaded from a file of safetensors (which holds contiguous tensors alone), are contiguous,
# load_state_dict takes them without a word, and the next step updates each weight with the moments
# of another one. With fused=False the same state gives the right step.
# A careful guess would be that a loaded state gives the same step in either form, or an error.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "torch==2.13.0" "numpy==2.4.6" "safetensors==0.8.0"
"$work/venv/bin/python" - "$work" <<'PYTHON'
import sys

import torch
from safetensors.torch import load_file, save_file

assert torch.__version__.startswith("2.13.0"), torch.__version__
print("torch", torch.__version__)


def channels_last(generator):
    drawn = torch.randn(4, 3, 2, 2, generator=generator)
    return drawn.to(memory_format=torch.channels_last)


def two_steps(fused, through_a_file):
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(channels_last(generator))
    first = torch.optim.Adam([weight], lr=0.1, fused=fused)
    weight.grad = channels_last(generator)
    first.step()
    state = first.state_dict()
    if through_a_file:
        path = f"{sys.argv[1]}/moments.safetensors"
        held = state["state"][0]
        save_file({key: value.contiguous() for key, value in held.items()}, path)
        state["state"][0] = load_file(path)
    second = torch.optim.Adam([weight], lr=0.1, fused=fused)
    second.load_state_dict(state)
    weight.grad = channels_last(generator)
    second.step()
    return weight.detach().contiguous()


right = two_steps(fused=False, through_a_file=False)
for fused in (False, True):
    for through_a_file in (False, True):
        off = (two_steps(fused, through_a_file) - right).abs().max().item()
        print(f"fused={fused}, moments through a file: {through_a_file}, largest error {off:.2g}")
        wrong = fused and through_a_file
        assert (off > 0.05) == wrong, "this has changed"
        assert wrong or off < 1e-6, "this has changed"
PYTHON
