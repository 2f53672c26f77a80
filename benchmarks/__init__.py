"""Measures dmcp beside its predecessor. ``python -m benchmarks`` does everything; timings are never tests."""
