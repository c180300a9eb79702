"""Admins of the site: users, who is let in, and what becomes of an account."""

from __future__ import annotations

from functools import partial

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from databoard import accounts, mail, people, removal, teams
from databoard.errors import DataboardError
from databoard.lookup import find, present
from databoard.model.event import Event, EventTeam
from databoard.model.people import ACCESS_LEVELS, Team, TeamMember, User
from databoard.removal import Removal
from databoard.web import bulk, outbox
from databoard.web.admin import blueprint, check_site_admin, typed_text
from databoard.web.session import (
    engine,
    logged_in,
    myself,
    note,
    reading,
    settings,
    viewer,
    writing,
)
from databoard.web.words import explained

PER_PAGE = 100
MAX_NOTES = 10_000  # characters
Page = str | Response | tuple[str, int]


@blueprint.get("/users")
@logged_in
def users() -> str:
    """Users by name; those who wait to be let in come first."""
    check_site_admin()
    text, level = typed_text("text"), request.args.get("level", "")
    page = min(max(1, request.args.get("page", 1, type=int)), 10**6)
    query = select(User).order_by((User.access_level == "asked").desc(), User.name)
    if text:
        columns = (User.name, User.email, User.firstname, User.lastname)
        query = query.where(or_(*(each.icontains(text, autoescape=True) for each in columns)))
    if level in ACCESS_LEVELS:
        query = query.where(User.access_level == level)
    first = (page - 1) * PER_PAGE
    found = reading().scalars(query.limit(PER_PAGE + 1).offset(first)).all()
    return render_template(
        "admin_users.html",
        users=found[:PER_PAGE],
        text=text,
        level=level,
        page=page,
        has_more=len(found) > PER_PAGE,
        levels=ACCESS_LEVELS,
    )


@blueprint.post("/users")
@logged_in
def change_users() -> Response:
    """Approve those that are ticked, or set the level or the notes of one."""
    check_site_admin()
    action, names = request.form.get("action", ""), request.form.getlist("user")
    if action == "approve":
        bulk.carry_out("user", "approved", names, _approve)
    elif action == "level":
        level = request.form.get("level", "")[:40]
        bulk.carry_out("user", f"made {level}", names[:1], partial(_set_level, level=level))
    elif action == "notes":
        notes = request.form.get("notes", "")
        bulk.carry_out("user", "described", names[:1], partial(_set_notes, notes=notes))
    else:
        flash("Choose what to do first.")
    return redirect(url_for("admin.users", text=request.form.get("text") or None))


@blueprint.get("/users/<name>")
@logged_in
def user(name: str) -> Page:
    """One user: access, notes, teams, and what may be done with the account."""
    check_site_admin()
    return _page(name)


@blueprint.post("/users/<name>")
@logged_in
def change_user(name: str) -> Page:
    """Do what the button says; what is deleted for good is shown first."""
    check_site_admin()
    action, form = request.form.get("action", ""), request.form
    find(reading(), User, name)
    going, said = None, ""
    try:
        if action == "password":
            said = _send_password(name)
        else:
            with writing() as session:
                if action == "approve":
                    _approve(session, name)
                    said = f"{name} is approved."
                elif action == "level":
                    _set_level(session, name, form.get("level", "")[:40])
                    said = f"The access of {name} is set."
                elif action == "notes":
                    _set_notes(session, name, form.get("notes", ""))
                    said = "The notes are kept."
                elif action == "close":
                    _close(session, name)
                    said = f"The account {name} is closed."
                elif action == "look":
                    going = _going(session, name)
                elif action == "delete":
                    removal.carry_out(session, _going(session, name))
                    note(session, "deleted a user", myself(session), subject=name)
                    said = f"The user {name} is deleted."
                else:
                    raise DataboardError("Choose what to do first.")
    except DataboardError as error:
        said = " ".join(explained(error)).strip()
        reading().rollback()  # what it saw is from before
        if present(reading(), User, name) is not None:
            return _page(name, said), 400
    if going is not None:
        return _page(name, going=going)
    flash(said)
    if action == "delete":
        return redirect(url_for("admin.users"))
    return redirect(url_for("admin.user", name=name))


def _page(name: str, error: str = "", going: Removal | None = None) -> str:
    session = reading()
    user = find(session, User, name)
    mine = select(Team).join(TeamMember).where(TeamMember.user_id == user.id).order_by(Team.name)
    found = session.scalars(mine).all()
    joined = select(EventTeam.team_id, Event).join(Event, Event.id == EventTeam.event_id)
    joined = joined.where(EventTeam.team_id.in_([team.id for team in found])).order_by(Event.name)
    events: dict[int, list[Event]] = {team.id: [] for team in found}
    for team_id, event in session.execute(joined):
        events[team_id].append(event)
    return render_template(
        "admin_user.html",
        user=user,
        teams=[(team, events[team.id]) for team in found],
        levels=ACCESS_LEVELS,
        is_me=user.name == viewer().name,
        is_closed=accounts.is_closed(user),
        can_mail=outbox.server() is not None,
        error=error,
        going=going,
    )


def _approve(session: Session, name: str) -> None:
    _check_open(find(session, User, name))
    outbox.mail_approved(session, people.approve_user(session, name))
    note(session, "approved", myself(session), subject=name)


def _set_level(session: Session, name: str, level: str) -> None:
    user = find(session, User, name)
    before = teams.set_access_level(session, name, level)
    note(session, f"made {level}", myself(session), subject=name)
    if level in people.APPROVED and before not in people.APPROVED:
        _check_open(user)
        outbox.mail_approved(session, user)


def _set_notes(session: Session, name: str, notes: str) -> None:
    if len(notes) > MAX_NOTES:
        raise DataboardError(f"The notes are longer than {MAX_NOTES} characters.")
    find(session, User, name).hidden_notes = notes.replace("\r\n", "\n").strip()
    note(session, "described", myself(session), subject=name)


def _send_password(name: str) -> str:
    """A new password for an open account, by mail; returns what is said of it."""
    server = outbox.server()
    if server is None:
        raise DataboardError("This site sends no mails.")
    _check_open(find(reading(), User, name))
    mail.send_password(engine(), server, name)
    with writing() as session:
        note(session, "sent a new password", myself(session), subject=name)
    return f"{name} gets a new password by mail."


def _close(session: Session, name: str) -> None:
    user, me = find(session, User, name), myself(session)
    _check_other(user, me)
    _check_open(user)
    accounts.shut(session, user)
    note(session, "closed an account", me, subject=name)


def _going(session: Session, name: str) -> Removal:
    _check_other(find(session, User, name), myself(session))
    return removal.of_user(session, settings(), name)


def _check_open(user: User) -> None:
    if accounts.is_closed(user):
        raise DataboardError(f"The account {user.name} is closed.")


def _check_other(user: User, me: User) -> None:
    if user.id == me.id:
        raise DataboardError("Your own account is closed on your profile.")
