"""`python -m tests.benchmarks`: every goal, a line each."""

from __future__ import annotations

import itertools

from tests.benchmarks import click, guardrails, trail

if __name__ == "__main__":
    for one in itertools.chain(guardrails.lines(), trail.lines(), click.lines()):
        print(one, flush=True)
