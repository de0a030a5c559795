"""Where the water of a block goes: its balance against the customers' meters, and what flows at night beyond use."""
