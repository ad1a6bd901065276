"""Every public sampler of the libraries that are installed: its plan replays it on a mixture, or it
is refused in one line."""

import importlib
import pkgutil

import numpy as np
import pytest

from mixdyn import transcribe
from mixdyn.audit import adapters
from mixdyn.support.errors import InputError, MissingExtraError, NotAffineError
from tests.audit import replaying

STEPS = 6
CASTS = 1e-12  # relative: whose sums are farther off their impulses computes in single precision
LIBRARIES = sorted(one.name for one in pkgutil.iter_modules(adapters.__path__))


def replays(library):
    """(spec, settings, error, whether it casts) of each sampler that has a plan."""
    for name, settings in importlib.import_module(f"{adapters.__name__}.{library}").samplers():
        spec = f"{library}:{name}"
        try:
            plan = transcribe(spec, STEPS, **settings)
        except (InputError, NotAffineError) as refusal:
            if "\n" in str(refusal):
                yield spec, settings, np.inf, False
            continue
        theirs, ours = replaying.replayed(spec, STEPS, settings)
        size = np.maximum(1.0, np.abs(theirs).max())
        cast = plan.rounding > CASTS
        error = np.abs(theirs - ours) / size
        yield spec, settings, float(np.median(error) if cast else error.max()), cast


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.filterwarnings("ignore")
def test_every_plan_replays_its_sampler(library):
    try:
        found = list(replays(library))
    except MissingExtraError as error:
        pytest.skip(str(error))
    wrong = [row for row in found if not row[2] < (1e-6 if row[3] else 1e-10)]
    assert not wrong
    assert found or library == "denoising_diffusion_pytorch"  # which clips
