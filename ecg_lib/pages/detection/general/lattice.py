"""Which layout the names on a page make, and where its rows and columns run.

In a level frame the names of a layout stand on a lattice: rows are level, and the columns of each
row equally wide, so that a name's column `c` and height `y` give its place as
`x = x0 + w c + s y + k c y`: lean `s` and convergence `k` are what perspective leaves.
"""

from dataclasses import dataclass

import numpy as np

from ecg_lib.pages.detection.general.marks import KINDS, Name
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import LEADS

ARRANGEMENTS = tuple({layout.rows: None for layout in LAYOUTS.values()})
"""The rows of leads of all layouts, whatever strips are below them."""

_NEAR = (0.22, 0.3)
"""A name belongs to the place of a lead within these shares of a column's width, a row's height."""

_NEARER = (0.12, 0.22)
"""The same after the lattice has been fitted."""

CANDIDATES = 24
"""As many names are tried, the surest first: a page has 12 to 16."""

_NARROWEST, _WIDEST = 0.06, 1.1
"""Smallest and largest width of a column, as shares of the frame's."""

_LOWEST = 3
"""Smallest height of a row, in cells."""

_READ = 0.1
"""From this value on, a name counts as that of the lead in whose place it stands."""


@dataclass(frozen=True)
class Lattice:
    """Where the names of an arrangement stand in a level frame, in cells.

    Attributes:
        rows: the arrangement's leads, row by row.
        across: x0, w, s, k, see above, for the left ends of the names.
        names_y: y of each row's names.
        support: sum of how much the names speak for the leads in whose places they stand, about 1
            for a name read without doubt.
        read: {lead: `Name`} of the names in their places.
        contradictions: a list of (lead, `Name`) where another name stands in a lead's place.
    """

    rows: tuple[tuple[str, ...], ...]
    across: np.ndarray
    names_y: np.ndarray
    support: float
    read: dict[str, Name]
    contradictions: list[tuple[str, Name]]

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    @property
    def named(self) -> list[bool]:
        """Whether a name of each row is read."""
        return [any(lead in self.read for lead in row) for row in self.rows]

    @property
    def spacing(self) -> float:
        """Mean distance of the rows."""
        return float(np.mean(np.diff(self.names_y)))

    def x(self, column: float, y: float) -> float:
        """Compute the left end of a name from its column and height."""
        x0, w, s, k = self.across
        return x0 + w * column + s * y + k * column * y

    def width(self, y: float) -> float:
        """Compute the width of a column at a height."""
        return self.across[1] + self.across[3] * y


def match(names: list[Name], points: np.ndarray, size: tuple[int, int]) -> list[Lattice]:
    """Fit the arrangements to the names.

    Args:
        names: the `Name`s of a look.
        points: float array (names, 2), their left ends in the level frame.
        size: width and height of the level frame.

    Returns:
        The `Lattice`s found, at most one for each arrangement, the best supported first.
    """
    surest = np.argsort([-name.certainty for name in names])[:CANDIDATES]
    if len(surest) < 2:
        return []
    names, points = [names[k] for k in surest], points[surest]
    found = [_Fit(rows, names, points, size).best() for rows in ARRANGEMENTS]
    return sorted((one for one in found if one is not None), key=lambda one: -one.support)


def most_support(names: list[Name]) -> float:
    """Compute what no lattice's support can exceed: each name speaks for one lead, and is one."""
    if not names:
        return 0.0
    values = np.maximum(_values(names), 0)
    return float(min(values.max(axis=0).sum(), values.max(axis=1).sum()))


class _Fit:
    """The fit of one arrangement to the names."""

    def __init__(self, rows, names, points, size):
        places = {lead: (c, r) for r, row in enumerate(rows) for c, lead in enumerate(row)}
        self.rows, self.names, self.points, self.size = rows, names, points, size
        self.places = np.array([places[lead] for lead in LEADS], float)
        self.values = _values(names)

    def best(self):
        """Return the best supported `Lattice`, or None where no two names make one."""
        guesses = self._guesses()
        if not len(guesses):
            return None
        x0, w, y0, d = (part[:, None] for part in guesses.T)
        expected = x0 + w * self.places[:, 0], y0 + d * self.places[:, 1]
        scores = self._scores(*expected, w, d, _NEAR)
        support = scores.max(axis=2).sum(axis=1) + np.minimum(scores.min(axis=2), 0).sum(axis=1)
        fitted = [self._fitted(guesses[number]) for number in np.argsort(-support)[:3]]
        return max(fitted, key=lambda one: one.support)

    def _scores(self, x, y, width, height, near):
        """Value of each name for each lead in whose place it stands: (guesses, leads, names)."""
        off_x = np.abs(x[..., None] - self.points[:, 0]) / width[..., None]
        off_y = np.abs(y[..., None] - self.points[:, 1]) / height[..., None]
        return np.where((off_x < near[0]) & (off_y < near[1]), self.values.T, 0)

    def _guesses(self):
        """Lattices through two names each: rows of x0, w, y0, d."""
        number, lead = np.nonzero(self.values > _READ)
        i, j = np.triu_indices(len(number), 1)
        step = self.places[lead[j]] - self.places[lead[i]]
        kept = step[:, 1] != 0
        if len(self.rows[0]) > 1:
            kept &= step[:, 0] != 0
        i, j, step = i[kept], j[kept], step[kept]
        start = self.points[number[i]]
        moved = self.points[number[j]] - start
        d = moved[:, 1] / step[:, 1]
        # A single column has no next one: any width will do.
        w = moved[:, 0] / step[:, 0] if len(self.rows[0]) > 1 else np.full(len(d), self.size[0] / 2)
        kept = (w > _NARROWEST * self.size[0]) & (w < _WIDEST * self.size[0]) & (d > _LOWEST)
        x0, y0 = (start - np.column_stack([w, d]) * self.places[lead[i]]).T
        return np.column_stack([x0, w, y0, d])[kept]

    def _fitted(self, guess):
        """The lattice that fits all names near a guess."""
        x0, w, y0, d = guess
        across, down = np.array([x0, w, 0, 0]), np.array([y0, d, 0])
        c, r = self.places.T
        near = _NEAR
        for _ in range(4):
            y = down @ [np.ones(len(r)), r, r**2]
            x = across @ [np.ones(len(c)), c, y, c * y]
            width = np.maximum(across[1] + across[3] * y, 1)
            scores = self._scores(x, y, width, np.maximum(down[1], 1)[None], near)
            which, weight = scores.argmax(axis=1), scores.max(axis=1)
            used = weight > _READ
            if used.sum() < 2:
                break
            points, weights = self.points[which[used]], weight[used]
            across = self._solved_across(c[used], points, weights, across[1])
            down = self._solved_down(r[used], points[:, 1], weights, down[1])
            near = _NEARER
        return self._lattice(across, down, scores, which, weight)

    def _lattice(self, across, down, scores, which, weight):
        read = {
            lead: self.names[which[number]]
            for number, lead in enumerate(LEADS)
            if weight[number] > _READ
        }
        contradictions = [
            (lead, self.names[scores[number].argmin()])
            for number, lead in enumerate(LEADS)
            if lead not in read and scores[number].min() < 0
        ]
        against = sum(scores[LEADS.index(lead)].min() for lead, _ in contradictions)
        names_y = down @ [
            np.ones(len(self.rows)),
            *(np.arange(len(self.rows)) ** n for n in (1, 2)),
        ]
        for row in range(len(self.rows)):
            own = self.points[which[(self.places[:, 1] == row) & (weight > _READ)], 1]
            if len(own):
                names_y[row] = np.median(own)
        support = float(weight.sum() + against)
        return Lattice(self.rows, across, names_y, support, read, contradictions)

    def _solved_across(self, c, points, weights, width):
        """Least squares, held near no lean and no convergence where few names speak."""
        y, height = points[:, 1], self.size[1]
        hold = np.diag([0, 0, 0.05 * height, 0.3 * height])
        if np.ptp(c) == 0:  # names of one column tell nothing of its width
            hold = np.diag([0, 1, 0.3 * height, 1e3 * height])
        terms = np.column_stack([np.ones(len(c)), c, y, c * y])
        a = np.vstack([weights[:, None] * terms, hold])
        b = np.concatenate([weights * points[:, 0], hold @ [0, width, 0, 0]])
        return np.linalg.lstsq(a, b, rcond=None)[0]

    def _solved_down(self, r, y, weights, height):
        """Least squares, held near equal distances."""
        hold = np.diag([0, 0.05, 3.0 * len(self.rows)])
        a = np.vstack([weights[:, None] * np.column_stack([np.ones(len(r)), r, r**2]), hold])
        b = np.concatenate([weights * y, hold @ [0, height, 0]])
        return np.linalg.lstsq(a, b, rcond=None)[0]


def _values(names):
    """How much each name speaks for each lead: array (names, leads), from -0.7 to 1.

    It is the logarithm of the lead's probability as a multiple of that by chance.
    """
    probabilities = np.array([name.probabilities[: len(LEADS)] for name in names])
    certainty = np.array([[name.certainty] for name in names])
    odds = np.log(np.maximum(probabilities * len(KINDS), 1e-3)) / np.log(len(KINDS))
    return certainty * np.clip(odds, -0.7, 1)
