"""A submission: its whole story on one page."""

from __future__ import annotations

from dataclasses import dataclass

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response

from databoard import credits, leaderboard, sandboxes
from databoard.errors import DataboardError, NotFound
from databoard.model.event import Event, EventScoreType
from databoard.model.states import DELETED, NEW
from databoard.model.submission import (
    FoldRun,
    FoldScore,
    Submission,
    SubmissionCredit,
    SubmissionScore,
)
from databoard.names import as_number
from databoard.submissions import record_of
from databoard.training.record import Parts, parts_of
from databoard.waiting import forecast
from databoard.web import acts, code
from databoard.web.session import logged_in, myself, note, reading, settings, viewer, writing
from databoard.web.words import explained

blueprint = Blueprint("submission", __name__, url_prefix="/submissions")
TRACEBACK = 30  # lines that are shown at first


@blueprint.get("/<int:id>")
def show(id: int, error: str = "", status: int = 200) -> tuple[str, int]:
    """The page."""
    submission = find(id)
    event = submission.event
    is_owner, is_admin = viewer().owns(submission), viewer().is_admin_of(event)
    sees_code = viewer().sees_code(submission)
    page = render_template(
        "submission.html",
        submission=submission,
        event=event,
        team=viewer().team_in(event),
        team_name=name_of_team(submission),
        title=name_of(submission),
        is_owner=is_owner,
        is_admin=is_admin,
        has_private=viewer().sees_private_boards(event),
        scores=_scores(submission),
        folds=_folds(submission),
        files=code.files(settings(), submission) if sees_code else None,
        record=record(submission) if sees_code else None,
        others=_others(submission) if sees_code else [],
        owed=_owed(submission) if sees_code else [],
        traceback=_traceback(submission) if is_owner or is_admin else None,
        can=acts.possible(viewer(), submission),
        forecast=forecast(reading(), submission) if submission.state == NEW else None,
        error=error,
    )
    return page, status


@blueprint.get("/<int:id>/files/<name>")
def file(id: int, name: str) -> Response:
    """A file, to keep."""
    for each in _code(find(id)):
        if each.name == name:
            return _download(each.content, name, "application/octet-stream")
    abort(404)


@blueprint.get("/<int:id>.zip")
def archive(id: int) -> Response:
    """All files, to keep."""
    submission = find(id)
    found = _code(submission)
    name = f"{name_of_team(submission)}_{name_of(submission)}".replace(" ", "_")
    return _download(code.zipped(name, found), f"{name}.zip", "application/zip")


@blueprint.get("/<int:id>/diff")
def choose_diff(id: int) -> Response:
    """Where the form goes that chooses the other one."""
    find(id)
    other = request.args.get("other", type=int)
    if other is None:
        return redirect(url_for("submission.show", id=id))
    return redirect(url_for("submission.diff", id=id, other=other))


@blueprint.get("/<int:id>/diff/<int:other>")
def diff(id: int, other: int) -> str:
    """What differs from another one of the event to this one."""
    new, old = find(id), find(other)
    if new.event_id != old.event_id:
        raise NotFound("They are of different events.")
    before = {each.name: each for each in _code(old)}
    after = {each.name: each for each in _code(new)}
    files = []
    for name in sorted({*before, *after}):
        texts = [side[name].text if name in side else "" for side in (before, after)]
        lines = None if None in texts else code.compared(texts[0] or "", texts[1] or "")
        is_same = name in before and name in after and before[name] == after[name]
        files.append((name, is_same, lines))
    return render_template(
        "diff.html",
        event=new.event,
        team=viewer().team_in(new.event),
        new=new,
        old=old,
        titles=[f"{name_of_team(each)}: {name_of(each)}" for each in (old, new)],
        files=files,
    )


@blueprint.post("/<int:id>")
@logged_in
def act(id: int) -> Response | tuple[str, int]:
    """Do what one of the page's buttons says."""
    submission, action = find(id), request.form.get("action", "")
    if action not in acts.possible(viewer(), submission):
        return show(id, "This cannot be done now.", 400)
    name, event = submission.name, submission.event.name
    try:
        with writing() as session:
            me, found = myself(session), session.get(Submission, id, with_for_update=True)
            if found is None:
                raise NotFound("The submission is gone.")
            subject = f"{found.team.name}/{found.name}"
            note(session, acts.NOTES[action], me, found.event, subject)
            if action == "credit":
                credits.set_credits(session, found, _typed_credits(submission))
            elif action == "continue":
                _continue(session, submission)
            else:
                acts.carry_out(session, settings(), found, action)
    except DataboardError as error:
        message, hint = explained(error)
        return show(id, f"{message} {hint}".strip(), 400)
    flash(f"{name}: {acts.NOTES[action]}.")
    if action == "continue":
        return redirect(url_for("sandbox.show", name=event))
    if action in ("withdraw", "delete"):
        return redirect(url_for("event.mine", name=event))
    return redirect(url_for("submission.show", id=id))


def find(id: int) -> Submission:
    """A submission that the viewer sees. Raises NotFound."""
    query = (
        select(Submission)
        .where(Submission.id == id)
        .options(joinedload(Submission.team), joinedload(Submission.event))
    )
    submission = reading().scalar(query) if id < 2**31 else None
    if submission is None or not viewer().sees_submission(submission):
        raise NotFound("There is no such submission.")
    return submission


def name_of_team(submission: Submission) -> str:
    """The name of its team, as the viewer may know it."""
    event = submission.event
    if viewer().sees_names(event) or viewer().owns(submission):
        return submission.team.name
    return leaderboard.hidden_name(event, submission.team_id, str(current_app.secret_key))


def name_of(submission: Submission) -> str:
    """Its name, as the viewer may know it."""
    is_named = viewer().sees_names(submission.event) or viewer().owns(submission)
    return submission.name if is_named else "submission"


def record(submission: Submission) -> Parts | None:
    """Its run record, for those who see its code; None where there is none.

    The digest of the data is the admins' alone: who knows all of the data but some test labels
    could try out labels on it.
    """
    found = record_of(reading(), submission)
    if found is None:
        return None
    parts = parts_of(found)
    if not viewer().is_admin_of(submission.event):
        parts.pop("data", None)
    return parts


def _code(submission: Submission) -> list[code.CodeFile]:
    """Its files. Raises NotFound where the viewer may not see them."""
    if not viewer().sees_code(submission):
        raise NotFound("There is no such file.")
    return code.files(settings(), submission)


def _download(content: bytes, name: str, kind: str) -> Response:
    response = make_response(content)
    response.headers["Content-Type"] = kind
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _scores(submission: Submission) -> list[tuple[EventScoreType, SubmissionScore]]:
    found = {
        score.event_score_type_id: score
        for score in reading().scalars(
            select(SubmissionScore).where(SubmissionScore.submission_id == submission.id)
        )
    }
    return [(each, found[each.id]) for each in submission.event.score_types if each.id in found]


@dataclass(frozen=True)
class Fold:
    """What a fold cost, and its scores in the order of the event's."""

    run: FoldRun
    scores: list[FoldScore | None]


def _folds(submission: Submission) -> list[Fold]:
    session = reading()
    runs = session.scalars(
        select(FoldRun).where(FoldRun.submission_id == submission.id).order_by(FoldRun.fold)
    )
    scores = {
        (score.fold, score.event_score_type_id): score
        for score in session.scalars(
            select(FoldScore).where(FoldScore.submission_id == submission.id)
        )
    }
    types = submission.event.score_types
    return [Fold(run, [scores.get((run.fold, each.id)) for each in types]) for run in runs]


def _others(submission: Submission) -> list[tuple[int, str]]:
    """Submissions to compare with: those whose code the viewer sees, own ones first."""
    event = submission.event
    query = (
        select(Submission)
        .where(Submission.event_id == event.id, Submission.id != submission.id)
        .where(Submission.state != DELETED)
        .options(joinedload(Submission.team))
        .order_by((Submission.team_id == submission.team_id).desc(), Submission.id.desc())
        .limit(300)
    )
    return [
        (other.id, f"{name_of_team(other)}: {name_of(other)}")
        for other in reading().scalars(query)
        if viewer().sees_code(other)
    ]


def _owed(submission: Submission) -> list[tuple[int, str, float]]:
    """What it owes: to which one, and which share."""
    query = (
        select(Submission, SubmissionCredit.share)
        .join(SubmissionCredit, SubmissionCredit.source_id == Submission.id)
        .where(SubmissionCredit.submission_id == submission.id)
        .options(joinedload(Submission.team))
        .order_by(Submission.id)
    )
    return [
        (source.id, f"{name_of_team(source)}/{name_of(source)}", share)
        for source, share in reading().execute(query)
    ]


def _traceback(submission: Submission) -> tuple[str, str] | None:
    """Its end, and what is before that."""
    if not submission.error_message:
        return None
    lines = submission.error_message.splitlines()
    return "\n".join(lines[-TRACEBACK:]), "\n".join(lines[:-TRACEBACK])


def _typed_credits(submission: Submission) -> dict[tuple[str, str], float]:
    """The shares of the form, which are in percent. Raises InvalidValue, NotFound."""
    shares = {}
    for source, percent in zip(
        request.form.getlist("source"), request.form.getlist("share"), strict=False
    ):
        if not source or not percent.strip():
            continue
        share = as_number("The share", percent.strip().removesuffix("%")) / 100
        if share:
            other = find(int(source) if source.isascii() and source.isdigit() else 0)
            if not viewer().sees_code(other):
                raise NotFound("There is no such submission.")
            shares[other.team.name, other.name] = share
    return shares


def _continue(session: Session, submission: Submission) -> None:
    """Put the files into the viewer's sandbox of the event."""
    team = viewer().team_in(submission.event)
    assert team is not None, "acts.possible"
    files = {each.name: each.content for each in _code(submission)}
    event = session.get_one(Event, submission.event_id)
    sandboxes.save(session, event, team, files)
