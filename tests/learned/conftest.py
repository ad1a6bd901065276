"""A small problem and a briefly trained network, shared by the tests of learned scores."""

import pytest

pytest.importorskip("torch")


@pytest.fixture(scope="session")
def problem():
    """Two modes on a line in the plane, 40 steps."""
    from mixdyn import GaussianMixture, NoiseSchedule

    mixture = GaussianMixture([[-1.0, 0.3], [1.0, 0.3]], 0.1, [0.25, 0.75])
    return mixture, NoiseSchedule.linear(40, 1e-3, 0.4)


@pytest.fixture(scope="session")
def tiny():
    """A recipe of 60 small steps."""
    from mixdyn.learned import Recipe

    return Recipe("tiny", 60, 64, 1e-2, 1e-4, points=500, hidden=16, embedding=8)


@pytest.fixture
def trainer(problem, tiny):
    from mixdyn.learned import Trainer

    return Trainer(*problem, tiny, seed=3)


@pytest.fixture
def checkpoint_file(trainer, tmp_path):
    """A finished run's checkpoint."""
    from mixdyn.learned.runs import train_to_file

    path = tmp_path / "tiny.safetensors"
    train_to_file(trainer, path, command="mixdyn train --recipe tiny")
    return path
