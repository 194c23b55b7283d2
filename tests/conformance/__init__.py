"""The conformance set: the program that makes it, and the tests that all implementations pass it."""
