"""Problems: what they are about, their starting kits, their notebooks."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Blueprint, abort, render_template, request, send_file
from sqlalchemy import select
from sqlalchemy.orm import selectinload
from werkzeug.wrappers import Response

from databoard import kits
from databoard.errors import DataboardError, NotFound
from databoard.files import open_plain
from databoard.kittree import BUNDLE, PAGE
from databoard.model.event import Event
from databoard.model.problem import Problem
from databoard.names import check_name
from databoard.web.session import reading, settings, viewer

blueprint = Blueprint("problem", __name__, url_prefix="/problems")

# The page of a notebook brings its styles and pictures along, and no program of it runs.
NOTEBOOK_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'"
)


@blueprint.get("")
def every() -> str:
    """The problems that have an event that the viewer sees; an admin sees all."""
    problems = {}
    query = select(Problem).options(selectinload(Problem.keywords)).order_by(Problem.title)
    for problem in reading().scalars(query):
        events = _events(problem)
        if events or viewer().is_admin:
            problems[problem] = events
    return render_template("problems.html", problems=problems)


@blueprint.get("/<name>")
def show(name: str) -> str:
    """What it is about, and its events."""
    problem, events = _find(name)
    kit = _kit(problem)
    return render_template(
        "problem.html",
        problem=problem,
        events=events,
        has_bundle=kit is not None and (kit / BUNDLE).is_file(),
        has_notebook=kit is not None and (kit / f"{name}{PAGE}").is_file(),
    )


@blueprint.get("/<name>/starting_kit.zip")
def bundle(name: str) -> Response:
    """What teams begin with."""
    problem, _ = _find(name)
    return _sent(problem, BUNDLE, f"{name}_starting_kit.zip")


@blueprint.get("/<name>/notebook")
def notebook(name: str) -> Response:
    """The rendered notebook, for the frame on the problem's page."""
    problem, _ = _find(name)
    response = _sent(problem, f"{name}{PAGE}", "")
    response.headers["Content-Security-Policy"] = NOTEBOOK_POLICY
    return response


def _sent(problem: Problem, file: str, name: str) -> Response:
    kit = _kit(problem)
    try:
        opened = open_plain(kit / file) if kit else None
    except OSError:
        opened = None
    if opened is None:
        abort(404)
    response = send_file(
        opened,
        mimetype="application/zip" if name else "text/html; charset=utf-8",
        as_attachment=bool(name),
        download_name=name or None,
    )
    status = os.fstat(opened.fileno())
    response.content_length = status.st_size
    response.set_etag(f"{status.st_mtime_ns:x}-{status.st_size:x}")
    return response.make_conditional(request)


def _find(name: str) -> tuple[Problem, list[Event]]:
    """A problem that the viewer sees, and its events that the viewer sees. Raises NotFound."""
    check_name("problem", name)
    problem = reading().scalar(select(Problem).where(Problem.name == name))
    events = _events(problem) if problem else []
    if problem is None or not (events or viewer().is_admin):
        raise NotFound("There is no such problem.")
    return problem, events


def _events(problem: Problem) -> list[Event]:
    query = select(Event).where(Event.problem_id == problem.id).order_by(Event.id.desc())
    return [event for event in reading().scalars(query) if viewer().sees(event)]


def _kit(problem: Problem) -> Path | None:
    try:
        return kits.find_kit(problem.name, settings().kits_path)
    except DataboardError:
        return None
