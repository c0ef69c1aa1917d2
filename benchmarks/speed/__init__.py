"""How fast the package is, next to plain ways of doing the same: `python -m benchmarks.speed`."""
