"""The ledger: every published result as a file with one check, run on any mixture.

`python -m verify` measures each claim with the engine, takes its right-hand side from
`mixdyn.bounds` and the truth from `mixdyn.oracles`, and writes a report. Claims live in
`verify/claims`, one file each; `verify/claim.py` says what a claim and a verdict are.
"""
