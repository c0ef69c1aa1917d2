"""Which pages there are, and which of them go where."""
