"""`mimamori bench`: figures that anyone can measure again, each beside its limit.

One file a bench; `commands` is what the command line knows of them and imports a bench only when it runs. Every bench
is a function from frozen options to one dict of JSON values, which `report.give` prints: with `--json` as exactly one
object on stdout, else as a table. Progress goes to stderr. The exit code is 0 when it ran, whatever the figures;
`within_limits` says what they are worth.
"""
