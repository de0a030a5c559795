"""`python -m mimamori` is the command `mimamori`."""

from mimamori.cli import main

if __name__ == "__main__":  # a spawned child imports this under another name
    main()
