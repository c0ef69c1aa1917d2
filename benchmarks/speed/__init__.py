"""How fast the package is, next to the plain way of doing the same: `python -m benchmarks.speed`."""
