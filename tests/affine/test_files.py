"""Plans on disk, beside one another, and as text."""

import dataclasses
import math
import zipfile

import numpy as np
import pytest

from mixdyn import DDIM, NoiseSchedule, Plan, ProbabilityFlow, transcribe
from mixdyn.support.errors import FileError, InputError

from . import functions

SHORT = NoiseSchedule.linear(40, 1e-3, 0.3)


@pytest.fixture(scope="module")
def plan():
    return transcribe(DDIM(6, eta=0.5), schedule=SHORT)


def test_a_saved_plan_comes_back_to_the_bit(plan, tmp_path):
    plan.save(tmp_path / "plan.npz")
    found = Plan.load(tmp_path / "plan.npz")
    for field in dataclasses.fields(Plan):
        a, b = getattr(plan, field.name), getattr(found, field.name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, field.name
    assert found.provenance["sampler"] == "DDIM(steps=6, spacing='quadratic', eta=0.5)"
    assert plan.difference(found).largest == 0.0
    none = transcribe(DDIM(3), schedule=SHORT)
    none.save(tmp_path / "plan.npz")
    assert Plan.load(tmp_path / "plan.npz").draws == 0


def rewritten(path, **changes):
    with np.load(path) as held:
        values = {**held, **changes}
    np.savez(path, **{name: value for name, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "archive of plain named arrays"),
        (lambda path: path.write_text("x"), "archive of plain named arrays"),
        (lambda path: path.unlink(), "must exist and be readable"),
        (lambda path: rewritten(path, format="mixdyn.plan.9"), "has the format 'mixdyn.plan.1'"),
        (lambda path: rewritten(path, alpha=None), r"missing keys \['alpha'\]"),
        (lambda path: rewritten(path, more=1), r"unknown keys \['more'\]"),
        (lambda path: rewritten(path, alpha=np.ones(3)), "K calls and D draws"),
        (lambda path: rewritten(path, matrix=np.full((7, 12), np.nan)), "matrix must be finite"),
        (lambda path: rewritten(path, matrix=np.ones((7, 12))), "a plan is causal"),
        (lambda path: rewritten(path, provenance="{"), "a plan is made of numbers"),
        (lambda path: rewritten(path, provenance="3"), "a plan is made of numbers"),
        (lambda path: rewritten(path, draw_times="now"), "a plan is made of numbers"),
        (lambda path: rewritten(path, predicts="noise"), "predicts must be one of"),
    ],
)
def test_damaged_and_foreign_files_are_one_line(plan, tmp_path, damage, rule):
    path = tmp_path / "plan.npz"
    plan.save(path)
    assert zipfile.is_zipfile(path)
    damage(path)
    with pytest.raises(FileError, match=rule) as error:
        Plan.load(path)
    assert "\n" not in str(error.value)
    assert "plan.npz" in str(error.value)


def test_a_plan_is_saved_as_npz_in_a_folder_that_exists(plan, tmp_path):
    for path in (tmp_path / "plan.toml", tmp_path / "nowhere" / "plan.npz"):
        with pytest.raises(FileError):
            plan.save(path)


# -- beside one another --------------------------------------------------------------------------


def test_plans_of_one_sampler_in_two_predictions_are_the_same():
    """Theirs asks eps, ours x_0, both take DDIM's step."""

    def in_x0(model, x, rng, steps):
        asked = lambda x, t: model(x, t)  # noqa: E731
        abar = functions.SCHEDULE.alpha_bar
        convert = lambda x, t: (x - np.sqrt(abar[t]) * asked(x, t)) / np.sqrt(1 - abar[t])  # noqa: E731
        return functions.ddim(convert, x, rng, steps)

    eps, x0 = transcribe(functions.ddim, 20), transcribe(in_x0, 20, predicts="x0")
    assert np.abs(eps.matrix - x0.matrix).max() > 0.1
    found = eps.difference(x0)
    assert found.largest < 1e-11
    assert found.first() is None
    assert found.words().startswith("the same to")
    noisy = transcribe(functions.ddim, 20, eta=0.3)
    assert noisy.draws == 20
    ours = transcribe(DDIM(20, "leading", 0.3))
    assert ours.draws == 19
    assert noisy.difference(ours).largest < 1e-11


def test_the_first_call_that_differs_is_named(plan):
    matrix = plan.matrix.copy()
    matrix[4, 2] *= 1.001
    found = plan.difference(dataclasses.replace(plan, matrix=matrix))
    assert (found.first(), found.first(1.0)) == (4, None)
    assert found.words().startswith("the input of call 5 is the first to differ, in its coeff")
    noise_var = plan.noise_var * np.array([1, 1, 1.01, 1, 1, 1, 1])
    found = plan.difference(dataclasses.replace(plan, noise_var=noise_var))
    assert found.first() == 2
    assert found.levels[2] == pytest.approx(0.5 * math.log(1.01))
    assert "input of call 3 is the first to differ, in its level" in found.words()
    end = plan.noise_var + np.array([0, 0, 0, 0, 0, 0, 1e-4])
    found = plan.difference(dataclasses.replace(plan, noise_var=end))
    assert found.words().startswith("the end is the first to differ, in its level; by inf")
    found = plan.difference(dataclasses.replace(plan, start_std=2.0))
    assert found.start == pytest.approx(math.log(2.0))
    assert found.words().endswith("but for the size of the start")


def test_plans_of_other_counts_are_not_compared(plan):
    with pytest.raises(InputError, match="6 calls with 5 draws and 7 calls with 6 draws"):
        plan.difference(transcribe(DDIM(7, eta=0.5), schedule=SHORT))
    with pytest.raises(InputError, match="other must be a Plan"):
        plan.difference(DDIM())


# -- as text -------------------------------------------------------------------------------------


def test_a_plan_prints_its_levels_and_steps(plan):
    lines = str(plan).splitlines()
    assert len(lines) == 3 + 6 + 1
    assert lines[0].startswith("Plan(DDIM(steps=6, spacing='quadratic', eta=0.5): 6 calls, 5 draws")
    c_x, c_eps, c_noise = DDIM(6, eta=0.5).plan(SHORT, DDIM(6).grid(SHORT)).eps_form()
    assert lines[3].split()[-6:] == [
        *(f"{c_x[0]:+.6g}", "u", f"{c_eps[0]:+.6g}", "eps", f"{c_noise[0]:+.6g}", "xi")
    ]
    assert lines[-1].split() == ["end", "1", "0"]


def test_what_looks_back_says_to_which_call_and_long_plans_are_cut():
    text = str(transcribe(ProbabilityFlow(40, order=2, data_std=0.0)))
    assert len(text.splitlines()) == 3 + 24 + 1 + 1
    assert "eps[1]" in text
    assert "u[39]" not in text.splitlines()[-2]
    assert "..." in text
