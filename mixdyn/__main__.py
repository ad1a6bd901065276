"""`python -m mixdyn` is the command `mixdyn`."""

from .cli import main

main()
