from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symbolic.codegen.runtime import array_api, quantiles, special


class Foreign(SimpleNamespace):
    """A namespace of the array API standard that is not NumPy's; nothing is asked of it but its names."""

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **keywords: None


@pytest.mark.parametrize("text", [special, quantiles])
def test_no_function_of_numpy_is_left_in_what_other_libraries_run(text: Any) -> None:
    # A name that is not bound would make arrays of NumPy out of those of another library, in silence.
    functions = array_api.functions_of(Foreign())
    taken = {name for name, value in vars(text).items() if isinstance(value, np.ufunc) or value is np.where}
    assert taken
    for name in text.__all__:
        names = functions[name].__globals__
        assert not {one for one in taken if isinstance(names.get(one), np.ufunc) or names.get(one) is np.where}, name
