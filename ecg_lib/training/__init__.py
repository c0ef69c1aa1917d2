"""Train networks and write run folders."""
