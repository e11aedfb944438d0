"""The ledger: each claim of the paper as a value, measured by one command.

`claims` says what a claim is and `catalogue` has all of them; `runner` trains and scores what they
need, `verdicts` decides by paired sign tests, and `page` writes docs/ledger.md from the rows.
"""
