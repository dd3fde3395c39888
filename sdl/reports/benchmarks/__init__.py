"""Pages and figures of benchmarks and back-tests."""
