"""The sandbox of a team: its files in the browser, saved and submitted from there."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from databoard import sandboxes
from databoard.access import has_closed, has_opened
from databoard.errors import DataboardError, NotFound
from databoard.model.event import Event
from databoard.model.people import Team
from databoard.submitted import SubmittedFile
from databoard.web import outbox
from databoard.web.event import find_event
from databoard.web.session import logged_in, myself, note, reading, settings, viewer, writing
from databoard.web.words import explained

blueprint = Blueprint("sandbox", __name__, url_prefix="/events/<name>/sandbox")
MAX_EDITED = 200_000  # bytes of a file that is edited in the browser
Page = str | Response | tuple[str, int]


@dataclass(frozen=True)
class Element:
    """A file of the sandbox: `text` is None where it can only be uploaded."""

    name: str
    file: str
    text: str | None
    size: int


@blueprint.get("")
@logged_in
def show(name: str) -> Page:
    """The files of the viewer's team."""
    event = find_event(name)
    team = viewer().team_in(event)
    if team is None:
        return redirect(url_for("event.show", name=name))
    return _page(event, team, sandboxes.files_of(reading(), settings(), event, team))


@blueprint.post("")
@logged_in
def change(name: str) -> Page:
    """Save, submit, or begin anew; what was typed is shown again when it is refused."""
    event = find_event(name)
    team = viewer().team_in(event)
    if team is None:
        raise NotFound("You take no part in this event.")
    action, wanted = request.form.get("action", "save"), request.form.get("submission", "").strip()
    files = _typed(event)
    try:
        said = _carry_out(event, team, action, wanted, files)
    except DataboardError as error:
        kept = sandboxes.files_of(reading(), settings(), event, team)
        typed = {file.name.partition(".")[0]: file for file in files}
        shown = [typed.get(file.name.partition(".")[0], file) for file in kept]
        return _page(event, team, shown, wanted, " ".join(explained(error)).strip()), 400
    flash(said)
    if action == "submit":
        return redirect(url_for("event.mine", name=name))
    return redirect(url_for("sandbox.show", name=name))


def _carry_out(
    event: Event, team: Team, action: str, wanted: str, files: list[SubmittedFile]
) -> str:
    """Do it; returns what is said of it. Raises DataboardError."""
    with writing() as session:
        me = myself(session)
        here, own = session.get_one(Event, event.id), session.get_one(Team, team.id)
        if action == "reset":
            sandboxes.reset(session, here, own)
            note(session, "reset the sandbox", me, here, own.name)
            return "The sandbox has the files of the starting kit again."
        sandboxes.save(session, here, own, {file.name: file.content for file in files})
        if action != "submit":
            return "Saved."
        return _submit(session, here, own, wanted)


def _submit(session: Session, event: Event, team: Team, wanted: str) -> str:
    me = myself(session)
    files = sandboxes.files_of(session, settings(), event, team)
    is_admin = viewer().is_admin_of(event)
    submission = sandboxes.submit_files(
        session, settings(), event, team, wanted, files, is_admin=is_admin
    )
    note(session, "submitted", me, event, f"{team.name}/{submission.name}")
    outbox.mail_submitted(session, submission)
    return f"{submission.name} is submitted, and waits to be trained."


def _typed(event: Event) -> list[SubmittedFile]:
    """The files of the form: what was uploaded, else what was typed."""
    files = []
    for element in event.problem.workflow.elements:
        name, is_code = element.type.name, element.type.kind == "code"
        upload = request.files.get(f"upload-{name}")
        if upload is not None and upload.filename:
            suffix = upload.filename.rpartition(".")[2] if "." in upload.filename else ""
            content = upload.read(sandboxes.MAX_SIZE + 1)
            file = f"{name}.py" if is_code else f"{name}.{suffix}"
            files.append(SubmittedFile(file, content))
        elif (text := request.form.get(f"text-{name}")) is not None:
            file = request.form.get(f"file-{name}", "")
            content = text.replace("\r\n", "\n").encode(errors="replace")
            files.append(SubmittedFile(f"{name}.py" if is_code else file, content))
    return files


def _page(
    event: Event, team: Team, files: list[SubmittedFile], wanted: str = "", error: str = ""
) -> str:
    elements = []
    for file in files:
        try:
            text: str | None = file.content.decode()
        except UnicodeDecodeError:
            text = None
        is_shown = text is not None and len(file.content) <= MAX_EDITED and "\0" not in text
        elements.append(
            Element(
                file.name.partition(".")[0],
                file.name,
                text if is_shown else None,
                len(file.content),
            )
        )
    return render_template(
        "sandbox.html",
        event=event,
        team=team,
        elements=elements,
        wanted=wanted,
        error=error,
        has_opened=has_opened(event, viewer().now),
        has_closed=has_closed(event, viewer().now),
    )
