"""Facts about samplers of libraries: right ones hold, a fault of each kind fails with a command
that shows it, and nothing of a library runs unless it is named."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixdyn.affine.drivers import driver_of
from mixdyn.support.errors import InputError
from tests.subjects import samplers
from verify.__main__ import app
from verify.ledger import registry as papers
from verify.ledger.case import Profile
from verify.ledger.claim import parse_docstring
from verify.ledger.relations import Outcome
from verify.ledger.runner import run_claim
from verify.subjects import registry
from verify.subjects.registry import load_subjects
from verify.subjects.subject import Subject

pytest.importorskip("torchdiffeq")
H, F = Outcome.HOLDS, Outcome.FAILS
PLACE = samplers.__name__
LIBRARIES = Path(registry.__file__).parent / "libraries"


def subject(name, order=1.0):
    return Subject(PLACE, name, order, usual={"level": "sigma", "start_std": samplers.SIGMAS})


def usual(library, name):
    """The settings of the first subject of that name."""
    found = importlib.import_module(f"verify.subjects.libraries.{library}").SUBJECTS
    return next(one.all_settings for one in found if one.sampler == name)


def rows_of(one, case):
    """The rows of a sampler by fact."""
    found = [registry.entry_of(fact, one, "1.0") for fact in registry.facts()]
    pairs = [(entry, run_claim(entry, case)) for entry in found if entry.claim.measurements]
    return {entry.claim.short: rows for entry, rows in pairs}


@pytest.fixture(scope="module")
def case():
    return load_subjects("torchdiffeq", 0, Profile.QUICK)[1]


@pytest.mark.parametrize(
    ("name", "failing"),
    [("right", ""), ("late", "clock"), ("shrunk", "floor"), ("unseeded", "seed")],
)
def test_each_fault_fails_its_fact(case, name, failing):
    rows = rows_of(subject(name), dataclasses.replace(case, workspace={}))
    if name == "unseeded":  # no two of its runs fit together: it has no plan
        assert {fact: row.verdict for fact, (row,) in rows.items()} == {
            **dict.fromkeys(("clock", "floor", "order"), Outcome.NOT_APPLICABLE),
            "seed": F,
        }
    assert rows[failing or "seed"][0].verdict is (F if failing else H)
    if not failing:
        assert {row.verdict for (row,) in rows.values()} == {H}
        assert all(row.controls.startswith("Fails narrowly") for (row,) in rows.values())
    else:
        witness = rows[failing][0].witness
        assert witness["reproduced by"].startswith(f"mixdyn audit {PLACE}:{name} --steps ")


def test_an_order_that_is_not_reached_fails_and_one_not_stated_has_no_row(case):
    case = dataclasses.replace(case, workspace={})
    assert rows_of(subject("right", 2.0), case)["order"][0].verdict is F
    assert "order" not in rows_of(subject("right", None), case)


def test_methods_of_torchdiffeq_have_the_orders_that_they_state():
    entries, case = load_subjects("torchdiffeq", 0, Profile.QUICK)
    chosen = papers.select(entries, ["rk4 order", "midpoint floor", "euler seed"])
    for entry in chosen:
        (row,) = run_claim(entry, case)
        assert (row.verdict, row.controls[:14]) == (H, "Fails narrowly")
    assert case.name == f"torchdiffeq-{case.origin.rpartition(' ')[2]}"
    assert not any(entry.claim.short == "clock" for entry in entries)  # it is told its levels


def test_the_command_checks_the_facts_that_are_named(tmp_path):
    run = CliRunner().invoke(
        app, ["--subjects", "torchdiffeq", "euler floor", "--out", str(tmp_path)]
    )
    assert run.exit_code == 0, run.output
    assert "euler floor" in run.output
    assert "midpoint" not in run.output
    assert (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--subjects", "nope"], "torchdiffeq"),
        (["--subjects", "torchdiffeq", "--random", "1"], "problems of their own"),
    ],
)
def test_a_library_without_subjects_or_other_problems_are_one_line(arguments, said, tmp_path):
    run = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
    assert run.exit_code == 2
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_document_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("verify.subjects.registry.load_subjects", None)  # it is not reached
    bad = tmp_path / "no folder" / "rows.json"
    run = CliRunner().invoke(app, ["--subjects", "torchdiffeq", "--json", str(bad)])
    assert run.exit_code == 2
    assert "rows.json" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("library", sorted(f.stem for f in LIBRARIES.glob("[a-z]*.py")))
def test_each_file_of_a_library_names_samplers_that_it_has(library):
    package = library if library != "k_diffusion" else "torchvision"
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"not required: {package}")
    entries, case = load_subjects(library, 0, Profile.QUICK)
    assert case.name.startswith(f"{library}-")
    found = {entry.claim.id.split()[0] for entry in entries}
    assert all(driver_of(f"{library}:{name}", 10, usual(library, name)) for name in found)


def test_a_library_that_is_not_there_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "k_diffusion", None)
    monkeypatch.setitem(sys.modules, "k_diffusion.sampling", None)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    run = CliRunner().invoke(app, ["--subjects", "diffusers", "--out", str(tmp_path)])
    assert run.exit_code == 2
    assert "pip install diffusers" in run.stderr


def test_no_paper_is_a_library_and_every_order_is_one_of_a_fact():
    assert not any("==" in entry.claim.doc["Source"] for entry in papers.load_claims())
    assert [fact.NAME for fact in registry.facts()] == ["clock", "floor", "order", "seed"]


@pytest.mark.parametrize(
    "source", ["diffusers==0.42.1:DDIMScheduler(eta=0.5)", "torchdiffeq==0.2.5:euler()"]
)
def test_a_subject_is_a_source(source):
    from tests import toys

    assert parse_docstring(toys.doc(Source=source))["Source"] == source
    with pytest.raises(InputError, match="library==version"):
        parse_docstring(toys.doc(Source=source.replace("==", " ")))
