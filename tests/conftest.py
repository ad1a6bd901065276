"""What the whole suite shares: reproducible property tests, one budget of false alarms for every
statistical test, rows of the ledger computed once a worker, and skips that turn into failures where
everything must be installed."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from verify.ledger.case import Case
    from verify.ledger.verdict import Basis, Verdict

hypothesis.settings.register_profile(
    "mixdyn",
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# For a hunt: pytest --hypothesis-profile=thorough
hypothesis.settings.register_profile(
    "thorough", hypothesis.settings.get_profile("mixdyn"), derandomize=False, max_examples=1000
)
hypothesis.settings.load_profile("mixdyn")

REQUIRE_ALL = "MIXDYN_REQUIRE_ALL"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tests run many tiny batches, beside one another under xdist: threads would only wait for
    each other. That the number of threads changes no bit is tested in processes of their own."""
    from mixdyn import kernels

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    with kernels.threads(1):
        yield


class FalseAlarmBudget:
    """The chance, at most 1e-6 for the whole suite, that a correct program fails a statistical
    test (were its fixed seeds drawn afresh). Every test draws its share from here."""

    total = 1e-6

    def __init__(self) -> None:
        self.spent = 0.0

    def draw(self, level: float) -> None:
        self.spent += level
        if self.spent > self.total * (1 + 1e-9):
            pytest.fail(
                f"the suite's statistical tests would spend {self.spent:.3g} > {self.total}"
            )


@pytest.fixture(scope="session")
def false_alarm_budget() -> FalseAlarmBudget:
    return FalseAlarmBudget()


@pytest.fixture
def plausible(false_alarm_budget: FalseAlarmBudget) -> Callable[..., None]:
    """`plausible(p_value)` fails the test where p_value is below its level, 1e-9 by default, which
    it books on the suite's budget: at most 1e-8 in one test."""
    booked = 0.0

    def check(p_value: float, level: float = 1e-9, what: str = "") -> None:
        nonlocal booked
        booked += level
        assert booked <= 1.001e-8, "one test may spend 1e-8 at most"
        false_alarm_budget.draw(level)
        assert p_value >= level, f"{what} p-value {p_value:.3g} below {level:.3g}"

    return check


class Ledger:
    """Rows of claims by kind of evidence, each computed once a worker, and problems that share
    what is measured on them. Rows are frozen; a test that changes a workspace takes `own_case`.
    """

    def __init__(self) -> None:
        from verify.ledger import registry

        self.entries = {entry.claim.id: entry for entry in registry.load_claims()}
        self._cases: dict[Case, Case] = {}
        self._rows: dict[tuple[Case, str, bool], dict[Basis, Verdict]] = {}
        self._mutants: dict[tuple[Case, str], dict[str, Verdict]] = {}

    def shared(self, case: Case) -> Case:
        """The case equal to this one whose workspace all tests use."""
        return self._cases.setdefault(case, case)

    def rows(self, claim_id: str, case: Case, *, controls: bool = True) -> dict[Basis, Verdict]:
        """The rows of a claim; without controls the check's alone."""
        from verify.ledger import runner

        key = (case, claim_id, controls)
        if key not in self._rows:
            of = functools.partial(self.mutants, claim_id) if controls else lambda case: {}
            entry = dataclasses.replace(self.entries[claim_id], mutants=of)
            found = runner.run_claim(entry, self.shared(case))
            self._rows[key] = {row.basis: row for row in found}
            assert len(self._rows[key]) == len(found)
        return self._rows[key]

    def mutants(self, claim_id: str, case: Case) -> dict[str, Verdict]:
        """The rows of a claim's negative controls, by name."""
        key = (case, claim_id)
        if key not in self._mutants:
            self._mutants[key] = self.entries[claim_id].mutants(self.shared(case))
        return self._mutants[key]

    def row(self, claim_id: str, case: Case, basis: Basis | None = None) -> Verdict:
        """The row on this evidence; where none is named the only one, proofs apart."""
        from verify.ledger.verdict import Basis

        found = self.rows(claim_id, case)
        if basis is None:
            rest = [row for kind, row in found.items() if kind is not Basis.CERTIFIED]
            (row,) = rest or found.values()
            return row
        return found[basis]


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="session")
def standard_case(ledger: Ledger) -> Case:
    """The standard problem, with the shipped networks."""
    from verify.ledger import cases

    return ledger.shared(cases.standard())


@pytest.fixture(scope="session")
def drawn_case(ledger: Ledger, standard_case: Case) -> Case:
    """The standard problem as if it had been drawn at random: without rows on networks."""
    return ledger.shared(dataclasses.replace(standard_case, random=True, workspace={}))


@pytest.fixture
def own_case() -> Case:
    """The standard problem with a workspace of this test's own."""
    from verify.ledger import cases

    return cases.standard()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is measured on the standard problem is slow."""
    for item in items:
        if "standard_case" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where tests run: those of a file on one worker, as they share what its fixtures make; all
    files that ask for the standard problem on one; an id that ends in @GROUP with its group."""
    from xdist.scheduler import LoadFileScheduling

    @functools.cache
    def shares_standard(file: str) -> bool:
        text = (config.rootpath / file).read_text(encoding="utf-8")
        return re.search(r"\b(standard|drawn)_case\b", text) is not None

    class BySharing(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            named = re.search(r"@([^@]+)\]$", nodeid)
            if named:
                return named[1]
            file = nodeid.partition("::")[0]
            return "standard" if shares_standard(file) else file

    return BySharing(config, log)


def is_missing_extra(reason: str) -> bool:
    """Whether a skip happened because an optional dependency is not installed."""
    return reason.startswith(("could not import", "Skipped: could not import")) or "extra" in reason


def _refuse_missing_extra(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or os.environ.get(REQUIRE_ALL) != "1":
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if is_missing_extra(reason):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_ALL}=1 and {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call) -> Iterator[None]:  # type: ignore[no-untyped-def]
    report = yield
    _refuse_missing_extra(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector) -> Iterator[None]:  # type: ignore[no-untyped-def]
    report = yield
    _refuse_missing_extra(report)
    return report
