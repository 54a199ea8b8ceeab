"""What the tests of the gate share: models, a configuration, and a device whose times are known."""

from __future__ import annotations

from tests.flows.test_check import folder, use

__all__ = ["folder", "use"]
