"""Benchmarks, peers side by side: `python -m bench`; see docs/testing.md."""
