"""An energy as data that JSON can hold, and back; its formula is text that is parsed and never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symbolic.language.energy import Energy
from symbolic.language.parse import parse_energy

__all__ = ["energy_from_data", "energy_to_data"]

_ROLES = ("visible", "hidden", "given")


def energy_to_data(energy: Energy) -> dict[str, Any]:
    """Return an energy as data that JSON can hold.

    Raises:
        ValueError: its text is not read back as the same energy.
    """
    data: dict[str, Any] = {
        "text": str(energy.expression),
        **{role: {layer.name: layer.unit for layer in getattr(energy, role)} for role in _ROLES},
        "parameters": {name: [layer.name for layer in one.layers] for name, one in energy.parameters.items()},
        "symmetric": [name for name, one in energy.parameters.items() if one.symmetric],
    }
    if energy_from_data(data) != energy:
        raise ValueError(
            f"the energy cannot be written to a file: its text is not read back as the same. Got {energy!r}."
        )
    return data


def energy_from_data(data: Mapping[str, Any]) -> Energy:
    """Return the energy that :func:`energy_to_data` described.

    Raises:
        KeyError, TypeError, ValueError: something is missing or does not make an energy.
    """
    sides = {role: data[role] for role in _ROLES}
    return parse_energy(data["text"], **sides, parameters=data["parameters"], symmetric=data["symmetric"])
