"""What a leak sounds like at two places of a pipe, and where between them it may be."""
