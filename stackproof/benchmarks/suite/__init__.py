"""The benchmarks that pytest collects: one for each operation of each backend that was asked for."""
