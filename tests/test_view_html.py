import base64
import importlib
import io
import json
import re
import zipfile

import numpy as np
import pytest

from resinflow.flow.errors import MissingDependencyError
from resinflow.view.render import render_flow
from tests.test_view_render import graphics, pyvista, uniform_flow  # noqa: F401


@pytest.fixture(scope="module")
def page(graphics, tmp_path_factory):  # noqa: F811
    pytest.importorskip("trame_vtk")
    folder = tmp_path_factory.mktemp("page")
    path = render_flow(uniform_flow(), folder / "flow.html", streamlines=8, window=(200, 150))
    assert [file.name for file in folder.iterdir()] == ["flow.html"]
    return path.read_text(encoding="utf-8")


def scene_of(text):
    packed = re.search(r'base64Str = "([A-Za-z0-9+/=]+)"', text)
    assert packed
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed[1]))) as archive:
        return json.loads(archive.read("index.json"))


def test_a_page_fetches_nothing(page):
    assert not re.search(r"<(script|img|iframe)[^>]*\ssrc\s*=|<link\s", page.split("<script type=")[0])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "http" not in policy[1]
    # the policy must stand before the first script, or that script would run without it
    assert page.index("Content-Security-Policy") < page.index("<script")


def test_a_page_holds_every_array_of_its_scene(page):
    scene = scene_of(page)
    named = set(re.findall(r'"hash": "([0-9a-f_]+)"', json.dumps(scene["scene"])))
    assert named
    assert named <= set(scene["hashes"])


def test_the_speed_on_a_page_is_that_of_the_flow(page):
    """Plug flow of 1 mm/s: the point data of the streamlines are 1 in mm/s."""
    found = []

    def visit(node):
        if isinstance(node, dict):
            if node.get("name") == "speed" and "hash" in node:
                found.append(node["hash"])
            for child in node.values():
                visit(child)
        elif isinstance(node, list):
            for child in node:
                visit(child)

    scene = scene_of(page)
    visit(scene["scene"])
    values = np.frombuffer(base64.b64decode(scene["hashes"][found[0]]["content"]), dtype=np.float32)
    np.testing.assert_allclose(np.median(values), 1.0, rtol=1e-3)


def test_a_page_tells_the_permeability(page):
    flow = uniform_flow()
    assert f"<title>K = {flow.permeability:.4g} m²" in page
    assert "flow along x, pressure drop 1 Pa" in page


def test_the_cuts_can_be_a_page(graphics, tmp_path):  # noqa: F811
    pytest.importorskip("trame_vtk")
    path = render_flow(uniform_flow(), tmp_path / "speed.html", kind="speed", window=(200, 150))
    assert scene_of(path.read_text(encoding="utf-8"))["hashes"]


def test_without_the_viewer_the_extra_is_named_and_nothing_is_left(graphics, tmp_path, monkeypatch):  # noqa: F811
    original = importlib.import_module

    def missing(name):
        if name.startswith("trame_vtk"):
            raise ImportError(name)
        return original(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"trame-vtk.*pip install 'resinflow\[view\]'"):
        render_flow(uniform_flow(), tmp_path / "flow.html", streamlines=2, window=(60, 40))
    assert not list(tmp_path.iterdir())
