"""The ledger: every published result as a file with one check, run on any mixture.

`python -m verify` measures each claim with the engine, takes its right-hand side from
`mixdyn.bounds` and the truth from `mixdyn.oracles`, and writes a report. Claims live in
`verify/papers`, one file each; `verify/ledger/claim.py` says what a claim and a verdict are.
"""

import warnings

from mixdyn.support.errors import StartWarning

# The report says once for each case what starting from N(0, I) costs there.
warnings.filterwarnings("ignore", category=StartWarning)
