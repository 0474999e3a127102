"""A 3-D scene as one HTML page that holds its viewer (vtk.js) and its data, and loads nothing from anywhere."""

from __future__ import annotations

import html
import importlib
import io
import json
import re
import zipfile
from typing import Any

from resinflow.flow import MissingDependencyError

# The page may run its own scripts and nothing else: what the viewer would fetch (icons from its makers' site) is refused.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src data: blob:; worker-src blob:"
)
_CAPTION = (
    "<style>#bare:target ~ .caption {{ display: none }}</style><i id='bare'></i>"
    '<div class="caption" style="position:absolute;z-index:1;top:0.6em;left:0.9em;pointer-events:none;'
    'font:15px sans-serif;color:#222">'
    "<b>{title}</b><br>{text}<br>"
    '<span style="color:#777">drag to turn, shift and drag to move, wheel to zoom</span></div>\n'
)


def scene_page(render_window: Any, title: str, text: str, middle: tuple[float, ...]) -> str:
    """Return the page that shows what a VTK render window shows, with a caption; without it at the address ``#bare``.

    Args:
        render_window: rendered at least once.
        title: of the page, and the first line of its caption.
        text: the second line.
        middle: (x, y, z), about which the scene is turned.

    Raises:
        MissingDependencyError: trame-vtk, which brings the viewer, is not installed.
    """
    viewer = _module("trame_vtk.tools.vtksz2html")
    page = io.StringIO()
    viewer.write_html(_packed(_scene_state(render_window, middle)), page)
    head = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<title>{html.escape(title)}</title>'
    caption = _CAPTION.format(title=html.escape(title), text=html.escape(text))
    # functions as replacements: a backslash in a text is no group reference
    titled, titles = re.subn(r"<title>.*?</title>", lambda _: head, page.getvalue(), count=1, flags=re.DOTALL)
    # the viewer takes an element of the class content, and would empty the whole body without one
    captioned, bodies = re.subn(r"<body>", lambda _: f'<body>\n{caption}<div class="content"></div>\n', titled, count=1)
    if not (titles and bodies):
        raise MissingDependencyError(
            "the page of trame-vtk's viewer has another form than the one known; needed: trame-vtk 2.11."
        )
    return captioned


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingDependencyError(
            "3-D pages (.html) need trame-vtk, which is not installed; run: pip install 'resinflow[view]'."
        ) from None


def _scene_state(render_window: Any, middle: tuple[float, ...]) -> dict[str, Any]:
    """Return the scene (actors, colours, camera) as vtk.js reads it, and its arrays by their hashes."""
    serializers = _module("trame_vtk.modules.vtk.serializers")
    serializers.initialize_serializers()
    context = serializers.SynchronizationContext()
    context.set_ignore_last_dependencies(True)
    scene = serializers.serialize(None, render_window, serializers.reference_id(render_window), context, 1)
    camera = render_window.GetRenderers().GetFirstRenderer().GetActiveCamera()
    scene["extra"] = {
        "vtkRefId": serializers.reference_id(render_window),
        "centerOfRotation": middle,
        "camera": serializers.reference_id(camera),
    }
    arrays = {entry["hash"]: entry for entry in serializers.extract_array_hash(scene)}
    hashes = {name: {**entry, "content": context.get_cached_data_array(name, False)} for name, entry in arrays.items()}
    return {"scene": scene, "hashes": hashes}


def _packed(state: dict[str, Any]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("index.json", json.dumps(state))
    return archive.getvalue()
