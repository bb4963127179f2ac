"""Scorers that are other people's Java programs: may be missing, die or fall silent, and a score sheet says so."""

import shutil


class ScorerMissing(Exception):
    """A score cannot be computed here; the message says why."""


def require_java(scorer: str, version: str) -> None:
    """Raises ScorerMissing if there is no Java runtime."""
    if shutil.which("java") is None:
        raise ScorerMissing(f"no Java runtime was found; {scorer}'s official scorer needs one ({version}).")
