"""Write files that appear whole or not at all, as `symbolic.files` does."""

from symbolic.files import replacing, require_place

__all__ = ["replacing", "require_place"]
