"""Samplers are found in their folder: by the library, the command line and `mixdyn warmup`."""

import subprocess
import sys

import numpy as np
import pytest

import mixdyn
from mixdyn import DDIM, AdaptiveNoise, NoiseSchedule, ProbabilityFlow, presets, sample
from mixdyn.samplers.options import samplers
from mixdyn.support.errors import InputError
from mixdyn.support.finding import classes_in

SCHEDULE = NoiseSchedule.linear(60, 1e-4, 0.2)


def few(kind):
    return kind.chosen({"steps": 12} if "steps" in kind.offers() else {}, SCHEDULE)


def test_every_sampler_is_a_public_name():
    found = classes_in("mixdyn.samplers", "name", "stepper")
    assert {"DDIM", "AdaptiveNoise", "Retry"} <= {kind.__name__ for kind in found}
    for kind in found:
        assert getattr(mixdyn, kind.__name__) is kind
        assert kind.__name__ in dir(mixdyn)
    assert len({kind.name for kind in found}) == len(found)


@pytest.mark.parametrize("name", samplers())
def test_a_found_sampler_gives_the_same_bits_in_shards_and_as_a_trajectory(name):
    sampler = few(samplers()[name])
    whole = sample(presets.line(), SCHEDULE, sampler, n=40, rng=2).x
    parts = [sample(presets.line(), SCHEDULE, sampler, n=20, rng=2, first=f).x for f in (0, 20)]
    path = sample(presets.line(), SCHEDULE, sampler, n=40, rng=2, keep="trajectory").x
    assert np.vstack(parts).tobytes() == whole.tobytes()
    assert np.allclose(path, whole, rtol=0, atol=1e-13)  # bit for bit with the compiler


@pytest.mark.parametrize("name", samplers())
def test_a_found_sampler_lists_its_options_when_asked_for_another(name):
    with pytest.raises(InputError, match="takes the options"):
        samplers()[name](colour="red")


def test_a_sampler_takes_no_more_steps_than_the_schedule_has_times():
    short = NoiseSchedule.linear(12, 0.01, 0.3)
    assert mixdyn.DDIM(50).within(short) == mixdyn.DDIM(12)
    assert mixdyn.DDIM(5).within(short) == mixdyn.DDIM(5)
    assert mixdyn.DDPM().within(short) == mixdyn.DDPM()


FILE = '''
import dataclasses
from typing import ClassVar

from .ddim import DDIM
from .options import Options, offer


@dataclasses.dataclass(frozen=True)
class Louder(Options):
    """DDIM from a start of another size."""

    name: ClassVar[str] = "louder"
    gain: float = dataclasses.field(default=2.0, metadata=offer(float, "Size of the start."))
    base: DDIM = dataclasses.field(default_factory=DDIM)
    secret: int = 3

    def grid(self, schedule, start=None):
        return self.base.grid(schedule, start)

    def stepper(self, model, schedule, grid):
        stepper = self.base.stepper(model, schedule, grid)
        advance = stepper.advance

        def louder(x, eps, k, rows):
            advance(x, eps, k, rows)
            x *= self.gain if k == grid.steps - 1 else 1.0

        stepper.advance, stepper.rollout = louder, None
        return stepper
'''
PROGRAM = """
import sys
import numpy as np
from mixdyn import samplers
samplers.__path__.append(sys.argv[1])
import mixdyn
from mixdyn.cli import app, warmup
from typer.testing import CliRunner

out = sys.argv[1] + "/s.npz"

def run(*options):
    words = ["sample", "--mixture", "line", "--out", out, "-n", "4", "--sampler", *options]
    return CliRunner().invoke(app, words)

assert mixdyn.Louder().gain == 2.0 and "Louder" in dir(mixdyn)
assert "the sampler louder" in dict(warmup.tasks())
ends = []
for words in ("louder --gain 1", "louder", "ddim"):
    done = run(*words.split(), "--steps", "5")
    assert done.exit_code == 0, done.output
    ends.append(np.load(out)["x"])
assert (ends[0] == ends[2]).all() and (ends[1] == 2 * ends[2]).all()
assert "--secret" in run("louder", "--secret", "3").output  # no such option
refused = run("ddim", "--gain", "3").output
assert "--gain does not apply to the sampler ddim, which takes --eta, --spacing, --steps" in refused
"""


def test_a_sampler_is_one_file_in_the_folder(tmp_path):
    (tmp_path / "louder.py").write_text(FILE)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


REFUSED = """
import sys
from mixdyn import samplers
samplers.__path__.append(sys.argv[1])
from mixdyn.__main__ import main
sys.argv[1:] = ["presets"]
main()
"""


@pytest.mark.parametrize(
    ("text", "instead", "said"),
    [
        ('"louder"', '"ddim"', "one sampler has the name 'ddim'; received mixdyn.samplers.ddim.DD"),
        ("gain", "seed", "itself does not use; received --seed of the sampler louder"),
        ("gain", "z", "an option has one type, whichever the sampler"),
        ("@dataclasses.dataclass(frozen=True)\nclass Louder(Options)", "class Louder", "dataclass"),
        ("import dataclasses", "import nowhere", "louder.py (ModuleNotFoundError: No module"),
        ("import dataclasses", "import = 3", "louder.py (SyntaxError: invalid syntax"),
    ],
)
def test_a_file_that_is_no_sampler_of_its_own_is_one_line(tmp_path, text, instead, said):
    assert text in FILE
    (tmp_path / "louder.py").write_text(FILE.replace(text, instead))
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "sampler",
    [DDIM(8, "trailing"), ProbabilityFlow(8, spacing="trailing"), AdaptiveNoise(8, rounds=0)],
)
def test_the_extra_call_at_a_level_without_signal_is_counted(sampler):
    """Where nothing is seen a model is asked for x_0 itself, once more."""
    schedule = NoiseSchedule.linear(T=50).with_zero_terminal_snr()
    exact = mixdyn.ExactScore(presets.grid(2), schedule)
    asked, more = [], []

    class Own:
        """A model that is not ours, with x0 beside eps."""

        def eps(self, x, t):
            asked.append(len(x))
            return exact.eps(x, t)

        def x0(self, x, t):
            more.append(len(x))
            return exact.x0(x, t)

    run = mixdyn.sample(Own(), schedule, sampler, x=np.zeros((500, 2)), rng=0)
    assert run.n_eval == pytest.approx(sum(asked + more) / 500)
    assert sum(more) >= 500
    known = mixdyn.sample(exact, schedule, sampler, x=np.zeros((500, 2)), rng=0)
    assert known.n_eval == pytest.approx(run.n_eval - sum(more) / 500)
