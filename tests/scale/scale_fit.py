"""What more workers bring, as a law: Amdahl's, and Gunther's Universal
Scalability Law (N. J. Gunther, Guerrilla Capacity Planning, 2007).

    X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))

sigma is what workers wait for one another (contention), kappa what each pair
of them has to tell each other (coherency); Amdahl's law is kappa = 0. Neither
is below 0: then a law says nothing that a straight line would not.

Pure. Divided, the law is linear in a = 1 / lambda, b = a sigma, c = a kappa:

    N / X = a + b (N - 1) + c N (N - 1)

so the least squares are those of a linear problem, weighted so that they are
those of X, each relative to what X is.
"""

import itertools
import math
from typing import NamedTuple


class Law(NamedTuple):
    rate: float  # lambda: what one worker does
    sigma: float
    kappa: float
    error: float  # root mean square of the residuals, relative

    def at(self, workers):
        n = workers
        less = 1 + self.sigma * (n - 1) + self.kappa * n * (n - 1)
        return self.rate * n / less

    def best_workers(self):
        """From where on more of them do less; None if there is no such
        number."""
        if self.kappa <= 0:
            return None
        return math.sqrt((1 - self.sigma) / self.kappa)


def amdahl(points):
    """Of (workers, rate); None where there are too few to say."""
    return fit(points, 2)


def universal(points):
    return fit(points, 3)


def fit(points, count):
    """The best law with so many coefficients, none of them below 0."""
    if len({workers for workers, _ in points}) < count:
        return None
    laws = [
        law
        for used in itertools.product((True, False), repeat=count - 1)
        if (law := solved(points, (True, *used)))
    ]
    return min(laws, key=lambda law: law.error, default=None)


def solved(points, used):
    """With those terms alone; None if it takes a negative one."""
    rows = [
        [term for term, use in zip((1, n - 1, n * (n - 1)), used) if use]
        for n, _ in points
    ]
    # To first order, N / X is off by as much, relatively, as X.
    rows = [[t * x / n for t in row] for row, (n, x) in zip(rows, points)]
    found = iter(least_squares(rows, [1.0] * len(rows)))
    a, b, c = ([next(found) if use else 0.0 for use in used] + [0.0])[:3]
    if a <= 0 or b < 0 or c < 0 or b > a:
        return None
    law = Law(1 / a, b / a, c / a, 0.0)
    squares = [(law.at(n) / x - 1) ** 2 for n, x in points]
    return law._replace(error=math.sqrt(sum(squares) / len(squares)))


def least_squares(rows, values):
    """The normal equations, by Gauss and Jordan: three unknowns at most."""
    size = len(rows[0])
    matrix = [
        [sum(r[i] * r[j] for r in rows) for j in range(size)]
        + [sum(r[i] * v for r, v in zip(rows, values))]
        for i in range(size)
    ]
    for i in range(size):
        pivot = max(range(i, size), key=lambda k: abs(matrix[k][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        matrix[i] = [v / matrix[i][i] for v in matrix[i]]
        for k in range(size):
            if k != i:
                by = matrix[k][i]
                matrix[k] = [
                    v - by * w for v, w in zip(matrix[k], matrix[i])
                ]
    return [row[-1] for row in matrix]
