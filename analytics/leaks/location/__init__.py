"""Where a leak may be: candidates along the pipes, never a confirmed leak."""
