"""A planted false claim is found, shrunk and saved; a true one, a crash, a NaN are told apart."""

from __future__ import annotations

import dataclasses
import shlex
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn.support.errors import FileError, MissingExtraError, NotApplicableError
from mixdyn.support.numbers import dump_json
from tests import toys
from verify.__main__ import app
from verify.ledger import cases, registry, runner
from verify.ledger.case import Profile
from verify.ledger.needs import modes, one_sigma
from verify.ledger.registry import Entry
from verify.ledger.relations import Equality, Outcome, Upper, compare
from verify.ledger.verdict import Basis, Finding, Hypothesis
from verify.search.adversary import Limits, search
from verify.search.screen import headline
from verify.search.trial import Kind

DOC = toys.doc(
    "A third mode never outweighs the pair.",
    Statement="The third mode's share is at most $e^{-\\kappa}$ times that of the nearest mode.",
    Hypotheses="- three: there are three modes.",
)
CLAIM = toys.claim("G.3", DOC, basis=(Basis.SAMPLED,), needs=(modes(3), one_sigma))
PATIENT = Limits(problems=150, explore_seconds=60.0, shrink_seconds=60.0)


def planted(check) -> Entry:
    return Entry(CLAIM, check, lambda case: {}, Path(__file__))


def judge_shares(case, with_weights: bool):
    """log(gamma_k/gamma_1) + kappa of the farthest of three modes, seen from 0.3 off each mode.

    It is log(w_k/w_1) exactly: a bound by 0 holds for equal weights, and fails if the far mode is
    heavier.
    """
    means, v = case.mixture.means, float(case.mixture.sigma) ** 2
    y = means + 0.3 * case.mixture.sigma
    exponent = np.square(y[:, None] - means).sum(axis=2) / (2.0 * v)
    order = np.argsort(exponent, axis=1)
    rows = np.arange(len(y))
    near, far = order[:, 0], order[:, 2]
    ratio = np.log(case.mixture.weights[far] / case.mixture.weights[near])
    kappa = exponent[rows, far] - exponent[rows, near]
    log_share = (ratio - exponent[rows, far]) - (0.0 - exponent[rows, near])
    bound = -kappa + (ratio if with_weights else 0.0)
    finding = Finding(
        comparisons=[compare("share of the third", Upper(rtol=1e-6, log=True), log_share, bound)],
        hypotheses=[Hypothesis("three", 1.0, 0.0)],
        witness=lambda comparison: {"mode": comparison.index},
    )
    return CLAIM.judge(case, finding)


def test_a_planted_false_claim_is_found_shrunk_and_comes_out_again_from_its_files(tmp_path):
    entry = planted(lambda case: judge_shares(case, with_weights=False))
    result = search(entry, 0, PATIENT, tmp_path)
    found = result.found(Kind.VIOLATION)
    assert found is not None
    assert found.confirmed
    assert found.call.excess > 1.0
    assert result.found(Kind.CLOSEST) is None
    mixture = found.call.problem.mixture
    assert (mixture.N, mixture.d) == (3, 1), "the smallest problem on which it fails"
    assert np.unique(mixture.weights).size == 2, "one odd weight is enough"
    assert "violated" in headline(result)

    words = shlex.split(found.command)
    options = dict(zip(words[4::2], words[5::2], strict=True))
    case = cases.user(
        options["--mixture"], options["--schedule"], int(options["--seed"]), Profile.QUICK
    )
    (again,) = runner.run_claim(entry, case)
    assert words[:4] == ["python", "-m", "verify", "G.3"]
    assert again.verdict is Outcome.FAILS
    assert again.as_row()["comparisons"][0]["excess"] == found.call.excess
    assert not list(tmp_path.rglob(".*")), "no drafts are left"


def test_a_search_leaves_nothing_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limits = dataclasses.replace(PATIENT, problems=20)
    search(planted(lambda case: judge_shares(case, with_weights=True)), 0, limits, Path("out"))
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_true_form_survives_with_its_least_room_reported(tmp_path):
    entry = planted(lambda case: judge_shares(case, with_weights=True))
    result = search(entry, 0, PATIENT, tmp_path)
    assert [w.call.kind for w in result.witnesses] == [Kind.CLOSEST]
    assert result.tally.verdicts == {"holds": result.tally.tried}
    assert result.witnesses[0].confirmed
    assert abs(result.witnesses[0].call.relative_slack) < 1e-6
    assert "no violation found" in headline(result)
    assert result.tally.tried > 100
    dump_json(result.as_data())  # strict JSON, or this raises


def test_a_mutant_that_fails_on_rare_problems_only_is_found(tmp_path):
    def check(case):
        uneven = np.ptp(case.mixture.weights) > 0.5
        rare = uneven and case.mixture.d >= 3 and case.schedule.T < 100
        finding = Finding(
            comparisons=[compare("rare", Upper(atol=1.0), 2.0 if rare else -1.0, 0.0)],
            hypotheses=[Hypothesis("three", 1.0, 0.0)],
            witness=lambda comparison: {"d": case.mixture.d},
        )
        return CLAIM.judge(case, finding)

    result = search(planted(check), 1, PATIENT, tmp_path)
    found = result.found(Kind.VIOLATION)
    assert found is not None
    assert found.call.problem.mixture.d == 3
    assert found.call.problem.mixture.N == 3


def test_the_climb_reaches_a_violation_that_plain_draws_do_not(tmp_path, monkeypatch):
    def check(case):
        measured = float(-np.log10(case.mixture.weights).sum())
        finding = Finding(
            comparisons=[compare("decades", Upper(atol=1.0), measured, 70.0)],
            hypotheses=[Hypothesis("three", 1.0, 0.0)],
            witness=lambda comparison: {"decades": measured},
        )
        return CLAIM.judge(case, finding)

    limits = dataclasses.replace(PATIENT, problems=200, shrink_seconds=0.0)
    assert search(planted(check), 0, limits, tmp_path).found(Kind.VIOLATION) is not None
    monkeypatch.setattr("verify.search.adversary._aim", lambda trial, calls: None)
    assert search(planted(check), 0, limits, tmp_path).found(Kind.VIOLATION) is None


def test_a_crash_is_our_error_with_its_witness_and_never_a_failed_claim(tmp_path):
    def check(case):
        if case.mixture.N > 4:
            raise ZeroDivisionError("too many modes")
        return judge_shares(case, with_weights=True)

    result = search(planted(check), 0, PATIENT, tmp_path)
    crash = result.found(Kind.CRASH)
    assert result.found(Kind.VIOLATION) is None
    assert crash is not None
    assert crash.confirmed
    assert crash.call.row["verdict"] == "error"
    assert "ZeroDivisionError: too many modes" in crash.call.row["note"]
    assert crash.call.problem.mixture.N == 5
    assert result.found(Kind.CLOSEST) is not None


def test_a_check_that_does_not_end_is_broken_off_and_saved_unshrunk(tmp_path):
    def check(case):
        while case.mixture.N > 4:
            time.sleep(0.001)
        return judge_shares(case, with_weights=True)

    handler, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
    limits = Limits(30, 60.0, 60.0, check_seconds=0.02)
    result = search(planted(check), 0, limits, tmp_path)
    slow = result.found(Kind.SLOW)
    assert slow is not None
    assert slow.confirmed is None
    assert "still running after 0.02 s" in slow.call.row["note"]
    assert result.found(Kind.CRASH) is None
    assert result.found(Kind.CLOSEST) is not None
    assert signal.getsignal(signal.SIGALRM) is handler
    now = signal.getitimer(signal.ITIMER_REAL)[0]
    assert (now == 0.0) if left == 0.0 else (0.0 < now < left), "an alarm of others still rings"


def test_a_nan_is_reported_as_undecided(tmp_path):
    def check(case):
        value = np.nan if case.mixture.d == 2 else 0.0
        finding = Finding(
            comparisons=[compare("number", Equality(atol=1.0), value, 0.0)],
            hypotheses=[Hypothesis("three", 1.0, 0.0)],
        )
        return CLAIM.judge(case, finding)

    result = search(planted(check), 0, PATIENT, tmp_path)
    kinds = {w.call.kind: w.call.problem.mixture.d for w in result.witnesses}
    assert kinds[Kind.UNDECIDED] == 2
    assert Kind.VIOLATION not in kinds
    assert kinds[Kind.CLOSEST] != 2


def test_a_claim_that_never_applies_leaves_no_witness(tmp_path):
    def check(case):
        raise NotApplicableError("this claim is about nothing", "a mixture", "")

    result = search(planted(check), 0, dataclasses.replace(PATIENT, problems=20), tmp_path)
    assert result.witnesses == ()
    assert (result.tally.applied, result.tally.tried) == (0, 20)
    assert "never applicable" in headline(result)
    assert not list(tmp_path.iterdir())


def test_a_seed_repeats_its_search_and_another_seed_draws_other_problems(tmp_path):
    entry = planted(lambda case: judge_shares(case, with_weights=False))
    limits = dataclasses.replace(PATIENT, problems=40)

    def digests(seed):
        seen = []

        def check(case):
            seen.append(case.digest)
            return entry.check(case)

        search(planted(check), seed, limits, tmp_path)
        return seen

    first = digests(3)
    assert digests(3) == first
    assert digests(4) != first
    assert len(set(first)) > 30


def test_no_new_problem_is_begun_after_the_last_second(tmp_path):
    entry = planted(lambda case: judge_shares(case, with_weights=False))
    result = search(entry, 0, Limits(150, 0.0, 0.0), tmp_path)
    assert result.out_of_time
    assert result.tally.tried == 0
    assert result.witnesses == ()


def test_an_interrupt_leaves_the_worst_so_far_on_disk(tmp_path):
    entry = planted(lambda case: judge_shares(case, with_weights=False))

    def stop(tally):
        if tally.worst_of(Kind.VIOLATION) is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(entry, 0, PATIENT, tmp_path, stop)
    saved = sorted(p.name for p in (tmp_path / "g-3-violation").iterdir())
    assert saved == ["mixture.toml", "schedule.toml", "witness.toml"]
    read = cases.user(tmp_path / "g-3-violation" / "mixture.toml", None, 0, Profile.QUICK)
    assert runner.run_claim(entry, read)[0].verdict is Outcome.FAILS


def test_an_unusable_folder_is_an_input_error(tmp_path):
    entry = planted(lambda case: judge_shares(case, with_weights=False))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError, match="folder"):
        search(entry, 0, PATIENT, tmp_path / "file")


LIMITS = Limits(problems=120, explore_seconds=60.0, shrink_seconds=30.0)


def entry_of(claim_id):
    (entry,) = registry.select(registry.load_claims(), [claim_id])
    return entry


def mutant_of(entry, name):
    """The claim with one of its mutants in place of its check."""
    return dataclasses.replace(entry, check=lambda case: entry.mutants(case)[name])


@pytest.mark.parametrize(
    ("claim_id", "mutant", "comparison"),
    [
        ("D.1", "e^(-3κ) in place of e^(-2κ)", "γ_far/γ_near"),
        ("D.1", "sides in place of diagonals", "rectangle identity"),
    ],
)
def test_a_mutant_of_the_ledger_falls_to_the_adversary(claim_id, mutant, comparison, tmp_path):
    entry = entry_of(claim_id)
    result = search(mutant_of(entry, mutant), 0, LIMITS, tmp_path)
    found = result.found(Kind.VIOLATION)
    assert found is not None
    assert found.confirmed
    assert found.call.excess > 10.0
    assert found.call.problem.mixture.N == 4
    assert comparison in found.call.label


def test_the_claim_itself_survives_where_its_mutant_fell(tmp_path):
    result = search(entry_of("D.1"), 0, LIMITS, tmp_path)
    assert result.tally.applied > 10
    assert [w.call.kind for w in result.witnesses] == [Kind.CLOSEST]
    assert result.witnesses[0].call.excess <= 1.0


@pytest.mark.parametrize(
    "extra", [["G.5"], ["--random", "2"], ["--figures"], ["--mixture", "m.toml"]]
)
def test_search_refuses_what_it_would_ignore(extra, tmp_path):
    result = CliRunner().invoke(app, ["--search", "D.1", "--out", str(tmp_path / "out"), *extra])
    assert result.exit_code == 2
    assert "--search draws its own problems" in result.output
    assert not (tmp_path / "out").exists()


def test_an_interrupted_search_says_where_its_findings_are_and_that_it_starts_over(
    tmp_path, monkeypatch
):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("verify.search.adversary.search", interrupted)
    result = CliRunner().invoke(app, ["--search", "D.1", "--out", str(tmp_path)])
    assert result.exit_code == 130
    assert f"is in {tmp_path / 'search'}" in result.output
    assert "starts over" in result.output
    assert "goes on" not in result.output


def test_without_hypothesis_a_search_says_what_to_install(monkeypatch):
    import verify.search

    monkeypatch.setattr(verify.search, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mixdyn\[search\]'"):
        verify.search.require()
