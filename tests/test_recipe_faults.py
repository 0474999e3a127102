"""Claims about faults in recipes: one plain line with the key, what is needed, and the nearest key for a misspelt one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resinflow.data.recipe import load_data_recipe
from resinflow.flow.errors import InvalidInputError
from resinflow.presets import load_recipe

DATA, TRAINING = load_data_recipe, load_recipe


@pytest.mark.parametrize(
    ("load", "text", "words"),
    [
        (DATA, "sampels: 4", "sampels: there is no such option; the nearest is samples. Known options: samples, seed"),
        (DATA, "seed: 1", "samples: it is not there; needed: a value."),
        (DATA, "samples: 4\ndepth: 5.0e-6", "depth: needed: a list (found 5e-06)."),
        (DATA, "samples: 4\ndepth: [5.0e-6]", "depth: the list ends too early; needed: an entry number 2."),
        (DATA, "samples: 4\nshape: [1, 2, 3, 4]", "shape: needed: a list of at most 3 (found [1, 2, 3, 4])."),
        (DATA, "samples: many", "samples: needed: a whole number (found 'many')."),
        (DATA, "samples: 0", "samples: needed: at least 1 (found 0)."),
        (DATA, "samples: 4\nboundary: cuts", "boundary: needed: 'cut' or 'periodic' (found 'cuts')."),
        (DATA, "samples: 4\nstrict_gap: perhaps", "strict_gap: needed: true or false (found 'perhaps')."),
        (DATA, "samples: 4\nvolume_fraction: [0.5, 0.9]", "made: volume_fraction is 0.9; needed: 0.02 to 0.7."),
        (TRAINING, "vae3d: {learnin_rate: 1}", "vae3d.learnin_rate: there is no such option; the nearest is learning_rate."),
        (TRAINING, "vae3d: 7", "vae3d: needed: a group of options (found 7)."),
        (TRAINING, "vae3d: {batch_size: x}", "vae3d.batch_size: needed: a whole number (found 'x')."),
    ],
)
def test_a_fault_in_a_recipe_is_a_plain_line(load: Callable[[Path], object], text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text + "\n")
    with pytest.raises(InvalidInputError) as caught:
        load(path)
    line = str(caught.value)
    assert words in line
    assert "\n" not in line
    assert "Input should" not in line
