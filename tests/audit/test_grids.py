"""Grids at every number of steps, against the library's own lists."""

import numpy as np
import pytest

diffusers = pytest.importorskip("diffusers")

from mixdyn.affine.drivers import driver_of  # noqa: E402
from mixdyn.audit.card import audit  # noqa: E402
from mixdyn.audit.grids import COUNTS, grids  # noqa: E402

LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}


def looked_at(name, **settings):
    return grids(driver_of(f"diffusers:{name}", 10, {**LINEAR, **settings}))


def test_trailing_lists_a_negative_time_at_62_counts():
    found = looked_at("DDIMScheduler", timestep_spacing="trailing")
    scheduler = diffusers.DDIMScheduler(timestep_spacing="trailing")
    negative, longer = [], []
    for n in COUNTS:
        scheduler.set_timesteps(n)
        times = scheduler.timesteps.numpy()
        negative += [n] * bool(times.min() < 0)
        longer += [n] * bool(len(times) == n + 1)
    assert negative == longer
    assert len(negative) == 62
    assert negative[:3] == [61, 103, 121]
    assert found.faults == {
        "list another number of times": longer,
        "list a time outside the table": negative,
    }
    assert "62 list a time outside the table (at 61, 103, 121, ...)" in found.words


def test_a_thousand_steps_of_linspace_repeat_a_time():
    found = looked_at("DPMSolverMultistepScheduler")
    assert found.faults == {"repeat a time": [1000]}
    assert found.words == "Of its grids of 2 to 1000 steps, 1 repeat a time (at 1000)."


@pytest.mark.parametrize("name", ["HeunDiscreteScheduler", "EulerDiscreteScheduler"])
def test_times_twice_a_step_are_meant(name):
    assert looked_at(name).words == "Its grids of 2 to 1000 steps have no fault."


def test_counts_of_which_no_grid_can_be_made():
    found = looked_at("DDIMScheduler", set_alpha_to_one=False)
    assert found.faults == {}

    class Refuses:
        table = 5

        def times(self, steps):
            if steps > 998:
                raise ValueError("too many")
            return np.linspace(4.0, 0.0 if steps != 7 else 1.0, steps)

    assert grids(Refuses()).faults == {"end at another time": [7], "cannot be made": [999, 1000]}


def test_the_grids_are_a_sentence_of_the_card():
    card = audit("diffusers:DDIMScheduler", 5, every_grid=True, brief=True, clip_sample=False)
    assert card.words[3] == card.grids.words == "Its grids of 2 to 1000 steps have no fault."
    assert card.facts()["grids"] == {}
    assert audit("ddim", 5, every_grid=True, brief=True).facts()["grids"] is None


def test_only_what_lists_its_times_has_grids():
    assert grids(driver_of("ddim", 10, {})) is None
