"""Proof by misfortune: what becomes of jobs when everything around them dies. See ``docs/reliability.md``."""
