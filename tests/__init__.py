"""The tests, room by room; see docs/testing.md."""
