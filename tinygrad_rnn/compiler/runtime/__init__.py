"""What generated code calls while it runs: products, threads, fast functions, and the cache of machine code."""
