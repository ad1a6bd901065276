"""Our own results: sharper constants, exact laws, counterexamples."""

from verify.ledger.paper import Paper

PAPER = Paper(__doc__, place=1)
