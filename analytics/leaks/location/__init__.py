"""Where a leak is likely: how each pipe's leak would be felt at each logger, and what that says of what was felt."""
