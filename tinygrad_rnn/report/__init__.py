"""The report that the tour ends with: one HTML page that needs nothing but itself."""
