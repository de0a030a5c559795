"""The town's own events: how many are there now (`present`), and what an event changed (`effect`)."""
