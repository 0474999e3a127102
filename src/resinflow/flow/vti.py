"""Flow fields and media in ParaView's format for images, ``.vti``, by VTK itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow.contents import DIMENSIONS, FOREIGN, GRID, VECTOR, Contents
from resinflow.flow.errors import InvalidInputError, MissingDependencyError
from resinflow.flow.file_sizes import check_vti

if TYPE_CHECKING:
    from vtkmodules.vtkCommonCore import vtkDataArray

_HEADER = "resinflow"
"""The text that holds the attributes."""


def write_vti(contents: Contents, path: Path) -> None:
    """Write voxels as cells: staggered velocities, for which image data have no place, travel as flat field data.

    Only the parts of VTK that write are loaded: pyvista, with which figures are drawn, takes three times as long.

    Raises:
        MissingDependencyError: VTK is not installed.
    """
    try:
        from vtkmodules.vtkCommonCore import vtkStringArray
        from vtkmodules.vtkCommonDataModel import vtkImageData
        from vtkmodules.vtkIOXML import vtkXMLImageDataWriter
    except ImportError:
        raise _missing() from None

    nz, ny, nx = contents.arrays["fluid"].shape
    dz, dy, dx = contents.attributes["spacing"]
    image = vtkImageData()
    image.SetDimensions(nx + 1, ny + 1, nz + 1)
    image.SetSpacing(dx, dy, dz)
    cells, fields = image.GetCellData(), image.GetFieldData()
    for name, values in contents.arrays.items():
        if DIMENSIONS[name] == GRID:
            cells.AddArray(_array(name, values.ravel()))
        elif DIMENSIONS[name] == VECTOR:
            cells.AddArray(_array(name, np.moveaxis(values, 0, -1).reshape(-1, 3)))
        else:
            fields.AddArray(_array(name, values.ravel()))
    header = vtkStringArray()
    header.SetName(_HEADER)
    header.InsertNextValue(json.dumps(contents.attributes))
    fields.AddArray(header)
    cells.SetActiveScalars("pressure" if "pressure" in contents.arrays else "fluid")
    if "velocity" in contents.arrays:
        cells.SetActiveVectors("velocity")
    writer = vtkXMLImageDataWriter()
    writer.SetDataModeToBinary()  # inline: a reader can tell how long each array is before it unpacks it
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    if not writer.Write():
        raise OSError(writer.GetErrorCode(), "VTK could not write it")


def _array(name: str, values: NDArray[Any]) -> vtkDataArray:
    from vtkmodules.util.numpy_support import numpy_to_vtk

    array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
    array.SetName(name)
    return array


def read_vti(path: Path) -> Contents:
    """Return what :func:`write_vti` wrote.

    Raises:
        InvalidInputError: a file of somebody else.
        MissingDependencyError: pyvista is not installed.
    """
    try:
        import pyvista
    except ImportError:
        raise _missing() from None

    check_vti(path)
    with pyvista.vtk_verbosity("off"), pyvista.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
        image = pyvista.get_reader(path).read()
    if _HEADER not in image.field_data:
        raise InvalidInputError(FOREIGN)
    nx, ny, nz = (count - 1 for count in image.dimensions)
    sizes = {"z": nz, "y": ny, "x": nx, "component": 3, "z_face": nz + 1, "y_face": ny + 1, "x_face": nx + 1}
    sizes |= {"sample": -1, "surface_sample": -1}  # as many as there are
    arrays: dict[str, NDArray[Any]] = {}
    for name, dims in DIMENSIONS.items():
        if dims == VECTOR and name in image.cell_data:
            arrays[name] = np.moveaxis(image.cell_data[name].reshape(nz, ny, nx, 3), -1, 0)
        elif dims == GRID and name in image.cell_data:
            arrays[name] = image.cell_data[name].reshape(nz, ny, nx)
        elif name in image.field_data:
            arrays[name] = image.field_data[name].reshape([sizes[dim] for dim in dims])
    attributes = json.loads(str(image.field_data[_HEADER][0]))
    return Contents({name: np.array(values) for name, values in arrays.items()}, attributes)


def _missing() -> MissingDependencyError:
    return MissingDependencyError("the .vti format needs pyvista, which is not installed; run: pip install 'resinflow[view]'.")
