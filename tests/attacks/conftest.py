"""Attacks on the executor stand on its stage."""

from __future__ import annotations

from tests.executor.conftest import facts, stage

__all__ = ["facts", "stage"]
