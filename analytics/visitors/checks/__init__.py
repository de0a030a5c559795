"""What a count is worth before it is published: true zero or counter at fault, estimates, and the gate of the days."""
