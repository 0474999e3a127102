"""OpenFOAM's simpleFoam on the same voxels, for ``benchmarks/solver.py``.

The mesh holds the fluid voxels of the pores that lead through the box, written as a polyMesh. SIMPLEC, GAMG for the pressure,
kinematic pressures on inlet and outlet, symmetry sides, walls on the fibres. Lengths in micrometres, viscosity 1, a pressure
drop so small that inertia is none. What counts is the processor time until the flow rate stays within a tolerance of where
it ends: OpenFOAM's own clock, without start and reading.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Microstructure
from resinflow.stokes.problem.pores import find_pores

PRESSURE_DROP = 1e-3
SETTLED, SETTLED_STEPS = 1e-6, 30
"""The run ends when the flow rate has changed by less than this part over so many iterations."""

_DEBIAN_HOME = "/usr/share/openfoam"
"""Where the Debian package keeps its defaults; an OpenFOAM of another origin names its place itself."""

_CORNERS = {  # of the face on the far side of a voxel, by its normal's array axis: (z, y, x) steps, outward by the right hand
    0: ((1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0)),
    1: ((0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1)),
    2: ((0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 1)),
}
_PATCHES = {"inlet": "patch", "outlet": "patch", "sides": "symmetry", "fibres": "wall"}
_FORMS = {
    "constant/transportProperties": "transportModel Newtonian;\nnu 1;\n",
    "constant/turbulenceProperties": "simulationType laminar;\n",
    "0/U": (
        "dimensions [0 1 -1 0 0 0 0];\ninternalField uniform (0 0 0);\nboundaryField\n{\n"
        "inlet { type zeroGradient; }\noutlet { type zeroGradient; }\n"
        "sides { type symmetry; }\nfibres { type noSlip; }\n}\n"
    ),
    "0/p": (
        "dimensions [0 2 -2 0 0 0 0];\ninternalField uniform 0;\nboundaryField\n{\n"
        f"inlet {{ type fixedValue; value uniform {PRESSURE_DROP}; }}\noutlet {{ type fixedValue; value uniform 0; }}\n"
        "sides { type symmetry; }\nfibres { type zeroGradient; }\n}\n"
    ),
    "system/fvSchemes": (
        "ddtSchemes { default steadyState; }\ngradSchemes { default Gauss linear; }\n"
        "divSchemes { default none; div(phi,U) bounded Gauss linear; div((nuEff*dev2(T(grad(U))))) Gauss linear; }\n"
        "laplacianSchemes { default Gauss linear uncorrected; }\ninterpolationSchemes { default linear; }\n"
        "snGradSchemes { default uncorrected; }\n"
    ),
    "system/fvSolution": (
        "solvers\n{\np { solver GAMG; smoother GaussSeidel; tolerance 1e-14; relTol 0.05; }\n"
        "U { solver smoothSolver; smoother symGaussSeidel; tolerance 1e-14; relTol 0.1; }\n}\n"
        "SIMPLE { nNonOrthogonalCorrectors 0; consistent yes; }\nrelaxationFactors { equations { U 0.95; } }\n"
    ),
    "system/controlDict": (
        "application simpleFoam;\nstartFrom startTime;\nstartTime 0;\nstopAt endTime;\nendTime 100000;\ndeltaT 1;\n"
        "writeControl timeStep;\nwriteInterval 1000000;\nrunTimeModifiable false;\nfunctions\n{\nflow\n{\n"
        "type surfaceFieldValue;\nlibs (fieldFunctionObjects);\nregionType patch;\nname outlet;\noperation sum;\n"
        "fields (phi);\nwriteFields false;\nwriteControl timeStep;\nwriteInterval 1;\nlog true;\n}\n}\n"
    ),
}


def available() -> bool:
    """Whether simpleFoam is installed."""
    return shutil.which("simpleFoam") is not None


def measure(micro: Microstructure, tolerance: float) -> dict[str, Any]:
    """Return seconds, processor seconds, iterations and K (m^2)."""
    with tempfile.TemporaryDirectory() as name:
        case = Path(name)
        write_case(micro, case)
        rate, clock = _run(case)
    started = 2 * clock[0] - clock[1]  # the clock when the first iteration began
    outside = np.flatnonzero(np.abs(rate / rate[-1] - 1) > tolerance)
    first = int(outside[-1]) + 1 if outside.size else 0
    depth, height, length = micro.extent
    permeability = rate[-1] / PRESSURE_DROP * length / (depth * height) * 1e-18  # the rest was in micrometres
    used = float(clock[first] - started)
    return {"seconds": used, "processor": used, "iterations": first + 1, "permeability": float(permeability)}


def _run(case: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flow rate and processor clock after every iteration, until the rate has settled."""
    rates: list[float] = []
    clock: list[float] = []
    command = ["simpleFoam", "-case", str(case)]
    environment = {"WM_PROJECT_DIR": _DEBIAN_HOME, **os.environ}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        tail: list[str] = []
        try:
            for line in run.stdout or ():
                tail = [*tail[-5:], line.strip()]
                if (match := re.search(r"sum\(outlet\) of phi = (\S+)", line)) is not None:
                    rates.append(float(match[1]))
                elif (match := re.search(r"ExecutionTime = (\S+) s", line)) is not None:
                    clock.append(float(match[1]))
                last = rates[-SETTLED_STEPS:]
                if (
                    len(rates) > 2 * SETTLED_STEPS
                    and max(last) - min(last) < SETTLED * abs(last[-1])
                    and len(clock) >= len(rates)
                ):
                    return np.array(rates), np.array(clock[: len(rates)])
        finally:
            run.kill()
    raise SystemExit(f"simpleFoam failed: {' | '.join(tail)}")


def write_case(micro: Microstructure, case: Path) -> None:
    """Write mesh, fields and settings of one case."""
    for name, text in _FORMS.items():
        path = case / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {"U": "volVectorField", "p": "volScalarField"}.get(path.name, "dictionary")
        path.write_text(_header(kind, path.name) + text)
    _write_mesh(micro, case / "constant" / "polyMesh")


def _header(kind: str, name: str) -> str:
    return f"FoamFile\n{{\nversion 2.0;\nformat ascii;\nclass {kind};\nobject {name};\n}}\n"


def _write_mesh(micro: Microstructure, folder: Path) -> None:
    pores = find_pores(micro.fluid, (False, False, False))
    fluid = pores.through[pores.labels]
    number = np.full(fluid.shape, -1)
    number[fluid] = np.arange(np.count_nonzero(fluid))
    owner, neighbour, corners = _inner_faces(number)
    patches = _boundary_faces(number)
    vertices = np.concatenate([corners, *(part[1] for part in patches.values())])
    used, vertices = np.unique(vertices, return_inverse=True)
    lattice = np.stack(np.unravel_index(used, tuple(count + 1 for count in fluid.shape)), axis=1)
    points = (lattice * np.array(micro.spacing) * 1e6)[:, ::-1]
    folder.mkdir(parents=True)
    _write_list(folder, "points", "vectorField", [f"({x:.9g} {y:.9g} {z:.9g})" for x, y, z in points.tolist()])
    faces = [f"4({a} {b} {c} {d})" for a, b, c, d in vertices.reshape(-1, 4).tolist()]
    _write_list(folder, "faces", "faceList", faces)
    _write_list(folder, "owner", "labelList", [*map(str, np.concatenate([owner, *(p[0] for p in patches.values())]).tolist())])
    _write_list(folder, "neighbour", "labelList", [*map(str, neighbour.tolist())])
    start, entries = owner.size, []
    for name, (cells, _) in patches.items():
        entries.append(f"{name} {{ type {_PATCHES[name]}; nFaces {cells.size}; startFace {start}; }}")
        start += cells.size
    _write_list(folder, "boundary", "polyBoundaryMesh", entries)


def _write_list(folder: Path, name: str, kind: str, lines: list[str]) -> None:
    body = "\n".join(lines)
    (folder / name).write_text(f"{_header(kind, name)}{len(lines)}\n(\n{body}\n)\n")


def _corners(places: NDArray[np.int64], axis: int, shape: tuple[int, ...], *, near: bool) -> NDArray[np.int64]:
    """Lattice numbers (faces, 4) of the far or near face of voxels, seen from inside: turned outward."""
    steps = np.array(_CORNERS[axis])
    if near:
        steps = steps[::-1].copy()
        steps[:, axis] = 0
    corners = places[:, None] + steps[None]
    return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(corners, -1, 0)), tuple(count + 1 for count in shape)))


def _inner_faces(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Owners, neighbours and corners, ordered by owner and then neighbour, as OpenFOAM asks for."""
    owners, neighbours, corners = [], [], []
    for axis in range(3):
        before, after = np.delete(number, -1, axis), np.delete(number, 0, axis)
        joined = (before >= 0) & (after >= 0)
        owners.append(before[joined])
        neighbours.append(after[joined])
        corners.append(_corners(np.argwhere(joined), axis, number.shape, near=False))
    owner, neighbour = np.concatenate(owners), np.concatenate(neighbours)
    order = np.lexsort((neighbour, owner))
    return owner[order], neighbour[order], np.concatenate(corners)[order]


def _boundary_faces(number: NDArray[np.int64]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Owners and corners of the boundary faces, by patch."""
    parts: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {name: [] for name in _PATCHES}
    for axis in range(3):
        for near in (True, False):
            beside = np.roll(number, 1 if near else -1, axis)
            at_side = np.zeros(number.shape, dtype=bool)
            np.moveaxis(at_side, axis, 0)[0 if near else -1] = True
            side = "sides" if axis != 2 else ("inlet" if near else "outlet")
            for name, faces in ((side, at_side), ("fibres", ~at_side & (beside < 0))):
                places = np.argwhere(faces & (number >= 0))
                parts[name].append((number[tuple(places.T)], _corners(places, axis, number.shape, near=near)))
    return {name: (np.concatenate([a for a, _ in some]), np.concatenate([b for _, b in some])) for name, some in parts.items()}
