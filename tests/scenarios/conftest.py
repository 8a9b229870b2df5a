import pytest

# Their assertions then say what they saw.
pytest.register_assert_rewrite("tests.conformance", "tests.support.client")
