"""Tables as Markdown."""


def markdown(table):
    """A DataFrame, without its index, as a Markdown table."""
    heads = [str(name).replace("_", " ") for name in table]
    cells = table.astype(object).where(table.notna(), "").astype(str)
    rows = [heads, ["---"] * len(heads), *cells.to_numpy().tolist()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
