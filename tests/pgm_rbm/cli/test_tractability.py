"""``pgm-rbm tractability``: what exact answers would cost."""

from __future__ import annotations

import json

from pgm_rbm import RBM
from tests.pgm_rbm.cli.program import refused, run


def test_tractability(ring: tuple[float, float]) -> None:
    RBM(6, 3, seed=1).save("model.safetensors")
    for file, way in (("model.safetensors", "enumeration"), ("ring.graphml", "elimination")):
        report = json.loads(run("tractability", file, "--json").stdout)
        assert report["method"] == way == report["ways"][0]["name"]
        assert {"elimination", "enumeration"} == {one["name"] for one in report["ways"]}
        assert all(one["seconds"] > 0 for one in report["ways"])
        assert f'"auto" takes {way}' in run("tractability", file).stdout
    observed = json.loads(run("tractability", "ring.graphml", "--given", "a=1", "--json").stdout)
    assert (observed["variables"], observed["induced_width"]) == (4, 1)
    assert (
        json.loads(run("tractability", "ring.graphml", "--memory-limit", "8", "--json").stdout)["method"] == "sampling"
    )
    RBM(300, 200, seed=0).save("large.safetensors")
    assert '"auto" takes' not in run("tractability", "large.safetensors").stdout
    assert "up to --limit 16777216 configurations" in run("tractability", "large.safetensors").stdout
    for name, units in (("gaussian", "gaussian"), ("labels", "potts(3)"), ("ternary", "{-1, 0, 1}")):
        RBM(4, 3, units, seed=0).save(f"{name}.safetensors")
        found = json.loads(run("tractability", f"{name}.safetensors", "--json").stdout)
        assert found["method"] == "enumeration"
        assert (found["induced_width"] is None) == (name == "gaussian")
        assert {way["name"] for way in found["ways"]} == {"enumeration"} | (
            {"elimination"} if name != "gaussian" else set()
        )
    assert "--limit is for model files" in refused("tractability", "ring.graphml", "--limit", "8")
