"""`python -m mimamori` is the command `mimamori`."""

from mimamori.cli import main

main()
