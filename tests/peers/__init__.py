"""The test suites of other libraries, run on this one by hand."""
