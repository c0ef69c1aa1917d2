"""Use what was trained: answers for single pages, reports, model cards."""
