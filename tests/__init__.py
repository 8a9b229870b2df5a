"""Tests: unit (mirrors the source), contracts, scenarios, interop, properties; what they share is in support."""
