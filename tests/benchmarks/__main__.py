"""`python -m tests.benchmarks`: every goal, a line each."""

from __future__ import annotations

from tests.benchmarks import trail

if __name__ == "__main__":
    for one in trail.lines():
        print(one, flush=True)
