"""Going back to an earlier pin: where to, what stays on hold, which gates, and how it is told."""
