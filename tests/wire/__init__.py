"""Stock clients against a live server."""

import pytest

pytest.register_assert_rewrite("tests.wire.story")
