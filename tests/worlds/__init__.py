"""Small worlds for tests: built by hand, seeded, with figures that a reader can follow."""
