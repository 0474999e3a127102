"""The third step: what is asked of the medium."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nicegui import ui

from resinflow.app.canvas import heading
from resinflow.app.fields import Fields
from resinflow.app.resins import RESINS
from resinflow.app.sessions import Session
from resinflow.flow import InvalidInputError

__all__ = ["QuestionStep"]

_AXES = {"x": "x, to the right", "y": "y, downwards", "z": "z, through the slices"}
_TASKS = {"predict": "Predict", "solve": "Solve", "tensor": "Tensor", "tow": "Tow"}
_TASK_TEXT = {
    "predict": "The first choice for a flow across the fibres (x, y): the solver's flow on these pixels, which a trained model "
    "corrects to that of a grid twice as fine. K comes with an interval that holds the true K with a probability of 90 %.",
    "solve": "The equations of slow flow (Stokes), solved on the pixels of the image with walls at the fibre surfaces, along "
    "any axis: the trustworthy K of these surfaces. What the pixels leave open is not in it.",
    "tensor": "K along all three axes at once, solved as by Solve: the permeability tensor with its principal axes, beside "
    "Gebart's values, as a simulation of the filling needs it.",
    "tow": "K of the tow that the image was taken from: the tensor with 90 % intervals, a budget of what makes K uncertain and "
    "what to do first, and a map of local K. The image must hold six fibres or more along its shorter edge. It takes minutes.",
}
_ALONG_ONE_AXIS = ("predict", "solve")
_DOUBTS = (
    "The standard deviation of the pixel size, as its calibration has it, and the largest tilt of the fibres of a single "
    "image, which does not show it."
)
_SPEED = "The resin and the pressure set how fast it flows; K does not depend on them."
_LEANING = (
    "A single image does not show how its fibres lean, and K depends on it. Where the tilt is not known, leave the field "
    "empty: 0 to 15 degrees. It takes about a minute, and K's interval then holds what the image does not show."
)
_BOUNDARIES = {
    "symmetry": "Pressure at inlet and outlet, mirrors at the sides",
    "periodic sides": "Pressure at inlet and outlet, periodic sides",
    "no-slip": "Pressure at inlet and outlet, walls at the sides",
    "periodic": "Periodic on all sides",
}
_ADVICE = {
    "symmetry": "The usual choice for a part cut out of a larger bundle: nothing leaves through the sides.",
    "periodic sides": "For a part that repeats sideways; in one that does not, fibres are cut where the sides are joined.",
    "no-slip": "For a specimen in a narrow mould: the walls take part of the flow, and K is that of specimen and walls.",
    "periodic": "For a unit cell that repeats in all directions; a micrograph does not, and gets joints at its borders.",
}
_CONDITIONS = {
    "symmetry": ("pressure", "symmetry"),
    "periodic sides": ("pressure", "periodic"),
    "no-slip": ("pressure", "no-slip"),
    "periodic": ("periodic", "periodic"),
}


_WALLS = {"auto": "Fibre surfaces", "plain": "Pixel faces"}
_EXACTLY = (
    "The solver stops where K is low by less than this error, e.g. 1e-4 for 0.01 %. If it is not there after the most "
    "iterations, it can go on. Walls at the fibre surfaces are truer; at the faces of the pixels it converges where it does "
    "not at the surfaces."
)


class QuestionStep:
    """The controls of the question, and the button that asks it.

    Args:
        session: whose question it is.
        fields: of the page.
    """

    def __init__(self, session: Session, fields: Fields) -> None:
        self._session = session
        self._fields = fields
        self._syncing = False
        with ui.element("section").classes("rf-card").props('aria-label="Step 3: question"') as self._card:
            heading(3, "Question")
            with ui.element("div").classes("rf-stack"):
                with ui.element("div").classes("rf-row"):
                    self._task = self._toggle("What is computed", _TASKS, "task")
                    with ui.element("div") as self._way:
                        self._axis = self._toggle("Direction of the flow", _AXES, "axis")
                self._task_text = ui.label().classes("rf-soft")
                with ui.element("div").classes("rf-row") as self._fluid:
                    names = {number: resin.name for number, resin in enumerate(RESINS)}
                    self._resin = ui.select(names, label="Resin", clearable=True, on_change=self._take_resin)
                    self._resin.classes("grow").props("outlined dense stack-label")
                    fields.number("Viscosity in Pa s", "viscosity", hint="100 mPa s are 0.1 Pa s")
                    fields.number("Pressure drop in Pa", "pressure_drop", hint="1 bar is 1e5 Pa")
                self._resin_text = ui.label().classes("rf-soft")
                self._speed_text = ui.label(_SPEED).classes("rf-soft")
                self._draws = ui.checkbox("draw 16 media round this image, with fibres that lean")
                self._draws.on_value_change(lambda event: self._choose(draws=bool(event.value)))
                with ui.element("div").classes("rf-row") as self._doubts:
                    self._error = fields.number("Error of the pixel size in %", "pixel_error")
                    fields.number("Misalignment of the fibres in degrees", "misalignment", "unknown")
                self._doubts_text = ui.label(_DOUBTS).classes("rf-soft")
                with ui.element("div") as self._conditions:
                    self._boundary = ui.select(_BOUNDARIES, label="Boundary condition", on_change=self._take_boundary)
                    self._boundary.classes("grow").props("outlined dense stack-label")
                    self._advice = ui.label().classes("rf-soft")
                    self._finer = ui.checkbox("on a grid twice as fine (8 times the voxels, K to 0.01 %)")
                    self._finer.on_value_change(lambda event: self._choose(finer=bool(event.value)))
                with ui.expansion("How exactly it is solved").props("dense") as self._exactly:
                    with ui.element("div").classes("rf-row"):
                        self._tolerance = fields.number("Error of K to stop at", "tolerance", "1e-6")
                        self._most = fields.number("Most iterations", "max_iterations", "300")
                        with ui.element("div") as self._rule:
                            self._walls = self._toggle("Walls", _WALLS, "wall_rule")
                    ui.label(_EXACTLY).classes("rf-soft")
                with ui.element("div").classes("rf-row").style("align-items:center"):
                    self._ask = ui.button("Compute", on_click=self._submit).props("unelevated no-caps size=lg")
                    self._why = ui.label().classes("rf-soft")

    def _toggle(self, label: str, options: dict[str, str], name: str) -> ui.toggle:
        with ui.element("div"):
            ui.label(label).classes("rf-label")
            toggle = ui.toggle(options, value=next(iter(options))).props(
                f'dense unelevated no-caps toggle-color=primary aria-label="{label}"'
            )
            toggle.on_value_change(lambda event: self._choose(**{name: event.value}))
        return toggle

    def _choose(self, **values: Any) -> None:
        if self._syncing:
            return
        if values.get("task") == "predict" and self._session.choices.axis == "z":
            values["axis"] = "x"
        if values.get("axis") == "z" and self._session.choices.task == "predict":
            values["task"] = "solve"
        self._session.change(**values)

    def _take_resin(self) -> None:
        number = self._resin.value
        self._resin_text.text = ""
        if number is not None:
            resin = RESINS[number]
            self._resin_text.text = resin.description
            self._choose(viscosity=resin.viscosity)
        self._resin_text.visible = number is not None

    def _take_boundary(self) -> None:
        if self._boundary.value is None:
            return
        boundary, lateral = _CONDITIONS[self._boundary.value]
        self._choose(boundary=boundary, lateral=lateral)

    def _submit(self) -> None:
        try:
            self._session.ask()
            ui.run_javascript("document.querySelector('.rf-answer').scrollIntoView({behavior: 'smooth'})")
        except InvalidInputError as error:
            ui.notify(str(error), type="warning")

    def sync(self) -> None:
        """Show the present choices."""
        self._syncing = True
        choices = self._session.choices
        self._task.value, self._axis.value = choices.task, choices.axis
        self._task_text.text = _TASK_TEXT[choices.task]
        if self._resin.value is not None and RESINS[self._resin.value].viscosity != choices.viscosity:
            self._resin.value = None
        name = next(name for name, pair in _CONDITIONS.items() if pair == (choices.boundary, choices.lateral))
        self._boundary.value = name
        self._advice.text = _ADVICE[name]
        self._conditions.visible = choices.task != "predict"
        self._finer.visible = choices.task == "solve"
        self._exactly.visible = choices.task != "predict"
        self._most.visible = choices.task != "tow"
        self._rule.visible = not choices.is_finer
        self._walls.value = choices.wall_rule
        self._tolerance.props(f'placeholder="{replace(choices, tolerance=None).accuracy:g}"')
        self._way.visible = self._fluid.visible = self._speed_text.visible = choices.task in _ALONG_ONE_AXIS
        self._resin_text.visible = self._fluid.visible and self._resin.value is not None
        self._finer.value, self._draws.value = choices.finer, choices.draws
        self._doubts_text.text = _DOUBTS if choices.task == "tow" else _LEANING
        self._error.visible = choices.task == "tow"
        self._show_doubts()
        self._syncing = False

    def _show_doubts(self) -> None:
        """Show what is asked about the third dimension of a single image, and of any image of a tow."""
        choices, reading = self._session.choices, self._session.reading
        single = reading is not None and bool(reading.result.get("extruded"))
        self._draws.visible = single and choices.task == "predict"
        leaning = self._draws.visible and choices.draws
        self._doubts.visible = self._doubts_text.visible = choices.task == "tow" or leaning

    def show(self) -> None:
        """Show whether the question can be asked."""
        session = self._session
        self._show_doubts()
        faulty = self._fields.faulty
        ready = session.is_read and session.running is None and not faulty
        self._ask.set_enabled(ready)
        self._card.classes(add="" if session.is_read else "waiting", remove="waiting" if session.is_read else "")
        asked, reading = session.choices, session.reading
        paths = reading.result["percolates"] if session.is_read and reading is not None else {}
        narrow = asked.task == "tow" and reading is not None and session.is_read and _is_narrow(reading.result)
        blocked = asked.task in _ALONG_ONE_AXIS and not paths.get(asked.axis, True)
        self._why.text = (
            f"What stands in the field {faulty} cannot be used: mend it first."
            if faulty
            else "No path of whole pixels of resin leads through along this axis: K will be 0 or next to it."
            if blocked
            else "This image is narrower than six fibre diameters, which a tow needs: take a larger one."
            if narrow
            else ""
            if ready
            else "An answer is being computed: wait for it, or cancel it in step 4."
            if session.running is not None
            else "First an image with its scale is needed (step 1)."
            if reading is None
            else "The fibres are being looked for."
            if not reading.is_over
            else "First the fibres are needed: step 2 says what is amiss."
        )


def _is_narrow(medium: dict[str, Any]) -> bool:
    """Whether the slices of a medium are too narrow for the windows of a tow."""
    edge = min(count * size for count, size in zip(medium["shape"][1:], medium["spacing"][1:], strict=True))
    return medium["diameter"] is not None and edge < 6 * medium["diameter"]
