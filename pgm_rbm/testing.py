"""`symbolic.testing` under its former name."""

from symbolic.testing import *  # noqa: F403
