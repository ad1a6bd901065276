"""Running checks: boundaries, negative controls, resuming, and recorded verdicts."""

import dataclasses
import functools
import json
import subprocess
import sys

import pytest

from mixdyn import presets
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import FileError, InputError, NotApplicableError
from mixdyn.support.finding import modules_in
from tests import toys
from verify.ledger import cases, registry, runner
from verify.ledger.case import Profile
from verify.ledger.needs import modes
from verify.ledger.recorded import find_drift, record, recorded_path
from verify.ledger.relations import Outcome, Upper, compare
from verify.ledger.sources import ROOT
from verify.ledger.store import Store, run_all
from verify.ledger.verdict import Basis, Finding, Origin


def toy(check=None, mutants=None, claim_id="G.9", **header):
    claim = toys.claim(claim_id, **header)
    judge = functools.partial(toys.judged, claim)
    check = check or (lambda case: judge(case, 1.0))
    mutants = mutants or (lambda case: {"tripled": judge(case, 3.0)})
    return toys.entry(claim, check, mutants), judge


@pytest.fixture
def case():
    return toys.case()


def test_a_row_carries_its_time_and_its_rejected_mutants(case):
    (verdict,) = runner.run_claim(toy()[0], case)
    assert verdict.verdict is Outcome.HOLDS
    assert verdict.seconds >= 0.0
    assert [(m.name, m.verdict) for m in verdict.mutants] == [("tripled", Outcome.FAILS)]
    assert verdict.mutants[0].excess == pytest.approx(1e9)


def test_a_mutant_that_holds_is_named_and_the_row_keeps_its_verdict_if_another_is_rejected(case):
    _, judge = toy()
    entry, _ = toy(mutants=lambda case: {"harmless": judge(case, 0.5), "bad": judge(case, 3.0)})
    (verdict,) = runner.run_claim(entry, case)
    assert verdict.verdict is Outcome.HOLDS
    assert verdict.note == "Also holds here: harmless."


def test_a_row_none_of_whose_mutants_is_rejected_is_inconclusive(case):
    _, judge = toy()
    entry, _ = toy(mutants=lambda case: {"harmless": judge(case, 0.5)})
    (verdict,) = runner.run_claim(entry, case)
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "harmless" in verdict.note


def test_a_control_that_decides_nothing_is_not_caught(case):
    _, judge = toy()
    entry, _ = toy(mutants=lambda case: {"undecided": judge(case, float("nan"))})
    (verdict,) = runner.run_claim(entry, case)
    assert verdict.mutants[0].verdict is Outcome.INCONCLUSIVE
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "no power" in verdict.note


def test_a_row_says_whether_a_control_fails_narrowly_and_why_none_does(case):
    _, judge = toy()
    (far,) = runner.run_claim(toy()[0], case)
    assert "No control fails narrowly; the nearest, tripled" in far.controls
    assert not far.as_row()["mutants"][0]["narrow"]
    excused, _ = toy(no_narrow_control={Basis.EXACT: "It is a count."})
    assert runner.run_claim(excused, case)[0].controls.endswith("It is a count.")
    entry, _ = toy(mutants=lambda case: {"far": judge(case, 3.0), "near": judge(case, 2 + 5e-9)})
    (near,) = runner.run_claim(entry, case)
    assert near.controls == "Fails narrowly: near, by 5 tolerances."
    assert [m["narrow"] for m in near.as_row()["mutants"]] == [False, True]


def test_a_row_carries_the_difference_that_it_could_have_seen(case):
    (verdict,) = runner.run_claim(toy()[0], case)
    assert verdict.as_row()["resolution"] == 1e-9
    assert verdict.as_row()["comparisons"][0]["resolution"] == 1e-9


def test_a_failing_row_stays_failing_whatever_its_mutants_do(case):
    _, judge = toy()
    entry, _ = toy(lambda case: judge(case, 3.0), lambda case: {"harmless": judge(case, 0.5)})
    assert runner.run_claim(entry, case)[0].verdict is Outcome.FAILS


def refuse(case):
    raise NotApplicableError("needs one sigma", "two", "Use one.")


def crash(case):
    return {}["missing"]


def failing_without_witness(case):
    entry, _ = toy()
    return entry.claim.judge(case, Finding([compare("x", Upper(atol=1e-9), 3.0, 2.0)]))


def foreign(case):
    return toy(claim_id="G.8")[1](case, 1.0)


@pytest.mark.parametrize(
    ("check", "outcome", "words"),
    [
        (refuse, Outcome.NOT_APPLICABLE, "needs one sigma"),
        (crash, Outcome.ERROR, "KeyError: 'missing' (test_runner.py:"),
        (failing_without_witness, Outcome.ERROR, "witness"),
        (foreign, Outcome.ERROR, "G.8"),
    ],
)
def test_what_a_check_raises_becomes_a_row(case, check, outcome, words):
    (verdict,) = runner.run_claim(toy(check)[0], case)
    assert verdict.verdict is outcome
    assert words in verdict.note


def test_an_interrupt_is_no_fault_of_the_check(case):
    def interrupt(case):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run_claim(toy(interrupt)[0], case)


def test_a_claim_about_three_modes_is_not_applicable_to_two_and_its_check_is_not_run(case):
    (verdict,) = runner.run_claim(toy(crash, needs=(modes(3),))[0], case)
    assert verdict.verdict is Outcome.NOT_APPLICABLE


def test_a_finished_row_is_found_again_until_anything_it_depends_on_changes(case, tmp_path):
    calls = []
    _, judge = toy()

    def check(case):
        calls.append(case.seed)
        return judge(case, 1.0)

    entry, store = toy(check)[0], Store(tmp_path / "rows")

    def run(case, entry=entry, **options):
        return run_all([entry], [case], store, **options)[0]

    first, again = run(case), run(case)
    assert (first["origin"], again["origin"], len(calls)) == ("computed", "kept", 1)
    assert {**again, "origin": "computed"} == json.loads(json.dumps(first))
    run(dataclasses.replace(case, seed=1))
    run(dataclasses.replace(case, profile=Profile.FULL))
    run(dataclasses.replace(case, mixture=presets.line()))
    run(case, dataclasses.replace(entry, path=ROOT / "verify/ledger/cases.py"))
    assert len(calls) == 5
    run(case, fresh=True)
    assert len(calls) == 6


def test_a_stored_measurement_stays_one_when_its_row_is_kept(case, tmp_path):
    entry, judge = toy()
    stored = toy(lambda case: dataclasses.replace(judge(case, 1.0), origin=Origin.STORED))[0]
    store = Store(tmp_path / "rows")
    for found, origins in ((entry, ["computed", "kept"]), (stored, ["stored measurement"] * 2)):
        assert [run_all([found], [case], store, fresh=f)[0]["origin"] for f in (1, 0)] == origins


def test_a_broken_check_is_tried_again_and_a_damaged_file_is_ignored(case, tmp_path):
    entry, store = toy(crash)[0], Store(tmp_path / "rows")
    run_all([entry], [case], store)
    assert store.load(entry, case) is None
    good = toy()[0]
    run_all([good], [case], store)
    for damaged in ("{", '{"rows": [{}]}', '{"rows": 1}'):
        store.path(good, case).write_text(damaged, encoding="utf-8")
        assert store.load(good, case) is None


def test_rows_finished_before_an_interrupt_are_kept(case, tmp_path):
    def interrupt(case):
        raise KeyboardInterrupt

    good, bad = toy()[0], toy(interrupt, claim_id="G.8")[0]
    store = Store(tmp_path / "rows")
    with pytest.raises(KeyboardInterrupt):
        run_all([good, bad], [case], store)
    assert store.load(good, case)[0]["verdict"] == "holds"
    assert not [p for p in (tmp_path / "rows").iterdir() if p.name.startswith(".")]


def test_a_closed_derivation_adds_a_derived_row_and_an_open_or_stale_one_does_not(
    case, tmp_path, monkeypatch
):
    from derivations import stored

    closed = stored.Outcome(
        *("X1", "A title", True, "0", 7, 2, "every N and d"), ("Ito's formula",), "digest", "1.0"
    )
    entry, store = toy(derivation="derivations/segment/tube.py")[0], Store(tmp_path)

    def bases(outcome, entry=entry):
        monkeypatch.setattr(stored, "lookup", lambda name: outcome)
        return [row["basis"] for row in run_all([entry], [case], store)]

    assert bases(closed) == ["exact", "derived"]
    assert bases(None) == ["exact"]
    assert bases(dataclasses.replace(closed, closed=False)) == ["exact"]
    refused = toy(refuse, claim_id="G.8", derivation="derivations/segment/tube.py")[0]
    assert bases(closed, refused) == ["exact"]


def test_what_claims_share_is_dropped_between_cases(case, tmp_path):
    case.memo("x", lambda: 1)
    run_all([toy()[0]], [case], Store(tmp_path))
    assert case.workspace == {}


def test_the_ledger_reads_paper_by_paper_the_body_before_the_appendices():
    ids = ["F1", "X2'", "X10", "X2", "G.3", "B.1 (2)", "B.1 (1)", "P4.7 (2)", "T4.2", "A4.1"]
    assert sorted(ids, key=registry.reading_order) == [
        *("X2", "X2'", "A4.1", "T4.2", "P4.7 (2)", "X10", "B.1 (1)", "B.1 (2)", "F1", "G.3")
    ]
    found = [entry.claim.id for entry in registry.load_claims()]
    order = ["A4.1", "P5.1", "B.1 (1)", "F1", "I.1", "X1", "X11", "M1", "M7"]
    assert [name for name in found if name in order] == order
    with pytest.raises(InputError):
        registry.reading_order("theorem five")


def test_claims_are_chosen_by_id_whatever_the_case_and_brackets():
    entries = [toy(claim_id=i)[0] for i in ("T4.2", "P4.7 (1)", "P4.7 (2)", "X1", "X10")]

    def chosen(*names):
        return [entry.claim.id for entry in registry.select(entries, names)]

    assert chosen() == [e.claim.id for e in entries]
    assert chosen("x1", "t4.2") == ["T4.2", "X1"]
    assert chosen("P4.7") == ["P4.7 (1)", "P4.7 (2)"]
    assert chosen("p4.7(2)") == ["P4.7 (2)"]
    with pytest.raises(InputError, match=r"T4\.2"):
        chosen("P4")


def test_ids_are_read_without_an_import_and_a_name_imports_its_own_file():
    written = [registry.written_in(f"{p.__name__}.claims") for p in modules_in("verify.papers")]
    loaded = {entry.path.stem: entry.claim.id for entry in registry.load_claims()}
    assert {file: id_ for ids in written for file, id_ in ids.items()} == loaded
    code = (
        "import sys\nfrom verify.ledger import registry\n"
        "print([e.claim.id for e in registry.load_claims(['p4.7', 'X1'])],"
        "[m.rpartition('.')[2] for m in sorted(sys.modules) if '.claims.' in m])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    files = ["p_4_7_1_saddle", "p_4_7_2_trapping", "x_1_intrinsic_time"]
    assert ran.stdout.strip() == f"{['P4.7 (1)', 'P4.7 (2)', 'X1']} {files}"


def rows_of(verdicts):
    return [{"id": key, "basis": "exact", "verdict": verdict} for key, verdict in verdicts.items()]


def test_drift_is_a_changed_or_missing_verdict_of_a_claim_that_ran(case, tmp_path):
    assert find_drift(case, rows_of({"G.1": "holds"}), tmp_path) is None
    recorded = rows_of({"G.1": "holds", "G.2": "fails", "P5.1": "vacuous"})
    record(case, recorded, tmp_path)
    assert find_drift(case, recorded, tmp_path) == []
    assert find_drift(case, rows_of({"G.2": "fails", "X9": "holds"}), tmp_path) == []
    assert find_drift(case, rows_of({"X9": "fails"}), tmp_path) is None
    (change,) = find_drift(case, rows_of({"G.2": "holds"}), tmp_path)
    assert change == "toy: G.2 [exact] was fails, is holds"
    other_basis = [{"id": "G.1", "basis": "sampled", "verdict": "holds"}]
    assert find_drift(case, other_basis, tmp_path) == ["toy: G.1 [exact] was holds, is missing"]


def test_a_derived_row_that_another_sympy_does_not_give_is_no_drift(case, tmp_path):
    derived = [{"id": "G.1", "basis": "derived", "verdict": "holds"}]
    exact = rows_of({"G.1": "holds"})
    record(case, exact + derived, tmp_path)
    assert find_drift(case, exact, tmp_path) == []
    derived[0]["verdict"] = "fails"
    assert len(find_drift(case, exact + derived, tmp_path)) == 1


def test_recording_some_claims_keeps_the_others_and_the_other_profile(case, tmp_path):
    full = dataclasses.replace(case, profile=Profile.FULL)
    record(case, rows_of({"G.1": "holds", "G.2": "holds"}), tmp_path)
    record(full, rows_of({"G.1": "fails"}), tmp_path)
    path = record(case, rows_of({"G.2": "vacuous"}), tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["verdicts"] == {
        "quick": {"G.1 [exact]": "holds", "G.2 [exact]": "vacuous"},
        "full": {"G.1 [exact]": "fails"},
    }
    assert record(case, rows_of({"G.1": "error"}), tmp_path) is None


def test_another_problem_of_the_same_name_has_another_record(case, tmp_path):
    record(case, rows_of({"G.1": "holds"}), tmp_path)
    other = dataclasses.replace(case, mixture=presets.line())
    assert find_drift(other, rows_of({"G.1": "fails"}), tmp_path) is None


def test_a_damaged_record_is_one_clear_error(case, tmp_path):
    recorded_path(case, tmp_path).write_text("[]", encoding="utf-8")
    with pytest.raises(FileError, match="--record"):
        find_drift(case, rows_of({"G.1": "holds"}), tmp_path)


def test_random_problems_depend_on_seed_and_index_alone_and_are_well_posed():
    for k in range(1, 13):
        a, b = (cases.random(k, 5, Profile.QUICK) for _ in range(2))
        assert a.digest == b.digest
        assert a.digest != cases.random(k, 6, Profile.QUICK).digest
        gaps = [
            float(((x - y) ** 2).sum() ** 0.5)
            for i, x in enumerate(a.mixture.means)
            for y in a.mixture.means[:i]
        ]
        assert 19.9 <= min(gaps) / a.mixture.sigma <= 150.1
        assert (a.mixture.weights > 0.09 / a.mixture.N).all() or "lattice" in a.origin
        assert a.schedule.alpha_bar[-1] < 2e-3
    kinds = [cases.random(k, 5, Profile.QUICK) for k in (1, 2, 3)]
    assert kinds[1].mixture.product_axes() is not None
    assert len(set(kinds[2].mixture.weights)) == 1


def test_the_user_case_takes_what_is_given_and_the_standard_for_the_rest(tmp_path):
    presets.line().save(tmp_path / "m.toml")
    NoiseSchedule.cosine(77).save(tmp_path / "s.toml")
    both = cases.user(tmp_path / "m.toml", tmp_path / "s.toml", 3, Profile.QUICK)
    assert (both.mixture, both.schedule.T, both.seed) == (presets.line(), 77, 3)
    assert both.origin == "read from m.toml and s.toml"
    assert cases.user(None, tmp_path / "s.toml", 0, Profile.QUICK).mixture == presets.grid()
    assert cases.user(tmp_path / "m.toml", None, 0, Profile.QUICK).schedule.T == 1000
