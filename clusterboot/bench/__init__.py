"""The benchmark program and the reading of what benchmarks print."""
