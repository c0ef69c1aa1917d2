"""A page image becomes thirteen crops."""
