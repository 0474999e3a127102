"""Media, flows and tensors in a notebook, and media on disk by their own methods."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from resinflow.flow import FlowField, InvalidInputError, Microstructure, PermeabilityTensor

HOSTILE = "<script>alert('x')</script> & \"co\""


def medium(provenance: dict | None = None, samples: int = 0) -> Microstructure:
    rng = np.random.default_rng(3)
    distance = rng.normal(size=(2, 4, 5)).astype(np.float32) * 1e-6
    displacements = rng.normal(size=(samples, 2, 4, 5)).astype(np.float32) * 1e-7 if samples else None
    return Microstructure(distance > 0, (3e-6, 2e-6, 1e-6 / 3), distance, provenance or {}, displacements)


def values_with(text: str) -> list:
    micro = medium({"source": text, "warnings": [text]})
    flow = FlowField(micro, np.ones((3, *micro.shape)), np.ones(micro.shape), "y", 1e5, 0.1)
    tensor = PermeabilityTensor(
        np.diag([1e-12, 2e-12, 3e-12]), "pressure", "symmetry", "volume", (0.0, 0.0, 0.0), 0.5, warnings=(text,)
    )
    return [micro, flow, tensor]


@pytest.mark.parametrize("place", range(3))
def test_a_value_shows_itself_as_balanced_html_with_its_texts_escaped(place: int) -> None:
    page = values_with(HOSTILE)[place]._repr_html_()
    assert "<script" not in page
    open_tags: list[str] = []

    class Walk(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list) -> None:
            open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Walk().feed(page)
    assert open_tags == []
    assert len(page) < 2000


def test_html_of_a_flow_says_k_and_what_drives_it() -> None:
    flow = values_with("a")[1]
    text = re.sub(r"<[^>]+>", " ", flow._repr_html_())
    for words in (f"{flow.permeability:.4g}", "100000 Pa along y", "pressure with symmetry sides", "5 x 4 x 2 voxels"):
        assert words in text


def test_html_of_a_tensor_holds_its_entries_and_warnings() -> None:
    page = values_with("low resolution")[2]._repr_html_()
    assert page.index("<td>1</td>") < page.index("<td>2</td>") < page.index("<td>3</td>")
    assert "low resolution" in page


def test_html_of_values_needs_no_matplotlib() -> None:
    lines = (
        "import sys, numpy as np, resinflow as rf",
        "rf.Microstructure(np.ones((1, 2, 2), bool), (1e-6,) * 3)._repr_html_()",
        "sys.exit('matplotlib' in sys.modules)",
    )
    assert subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False).returncode == 0


@pytest.mark.parametrize("suffix", [".npz", ".zarr", ".nc"])
def test_a_medium_comes_back_from_its_file_with_surfaces_samples_and_origin(tmp_path: Path, suffix: str) -> None:
    micro = medium({"generator": "drawn", "seed": 3, "sizes": np.array([1.5])}, samples=2)
    back = Microstructure.load(micro.save(tmp_path / f"medium{suffix}"))
    assert back.fingerprint == micro.fingerprint
    assert back.spacing == micro.spacing
    np.testing.assert_array_equal(back.signed_distance, micro.signed_distance)
    np.testing.assert_array_equal(back.displacements, micro.displacements)
    assert back.provenance == {"generator": "drawn", "seed": 3, "sizes": [1.5]}


def test_the_medium_of_a_saved_flow_is_loaded(tmp_path: Path) -> None:
    flow = values_with("a")[1]
    assert Microstructure.load(flow.save(tmp_path / "flow.npz")).fingerprint == flow.microstructure.fingerprint


def test_a_file_of_a_medium_holds_no_pickle(tmp_path: Path) -> None:
    path = medium({"source": "a"}).save(tmp_path / "medium.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert [archive[name].dtype.kind for name in archive.files].count("O") == 0


def test_no_file_and_files_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"absent\.npz"):
        Microstructure.load(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(InvalidInputError, match=r"other\.npz"):
        Microstructure.load(tmp_path / "other.npz")
    with pytest.raises(InvalidInputError, match="suffix"):
        medium().save(tmp_path / "medium.txt")
