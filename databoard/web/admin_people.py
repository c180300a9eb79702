"""Admins: who is let in, to the site and to events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from databoard import joining, people, teams
from databoard.database import after_commit
from databoard.errors import DataboardError, NotFound
from databoard.lookup import find
from databoard.model.event import Event
from databoard.model.people import ACCESS_LEVELS, Team, User
from databoard.names import counted
from databoard.web import outbox
from databoard.web.admin import blueprint, check_site_admin, own_events
from databoard.web.session import logged_in, myself, note, reading, writing
from databoard.web.words import explained

PER_PAGE = 100


@blueprint.get("/users")
@logged_in
def users() -> str:
    """Users by name; those who wait to be let in come first."""
    check_site_admin()
    text, page = request.args.get("text", "").strip(), max(1, request.args.get("page", 1, type=int))
    query = select(User).order_by((User.access_level == "asked").desc(), User.name)
    if text:
        columns = (User.name, User.email, User.firstname, User.lastname)
        query = query.where(or_(*(each.icontains(text[:100], autoescape=True) for each in columns)))
    first = (min(page, 10**6) - 1) * PER_PAGE
    found = reading().scalars(query.limit(PER_PAGE + 1).offset(first)).all()
    return render_template(
        "admin_users.html",
        users=found[:PER_PAGE],
        text=text,
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
        _each("approved", names, _approve)
    elif action == "level" and len(names) == 1:
        level = request.form.get("level", "")
        _each(f"made {level}", names, lambda session, name: _set_level(session, name, level))
    elif action == "notes" and len(names) == 1:
        notes = request.form.get("notes", "")[:10_000]
        _each("described", names, lambda session, name: _set_notes(session, name, notes))
    else:
        flash("Choose somebody first.")
    there = request.form.get("text", "")
    return redirect(url_for("admin.users", text=there or None))


@blueprint.get("/sign-ups")
@logged_in
def sign_ups() -> str:
    """The teams that ask to join the events that the viewer administers."""
    ids = {event.id for event in own_events()}
    requests = [each for each in joining.requests(reading()) if each.event_id in ids]
    return render_template("admin_sign_ups.html", requests=requests)


@blueprint.post("/sign-ups")
@logged_in
def answer_sign_ups() -> Response:
    """Say yes or no to those that are ticked: each is `event/team`."""
    own = {event.name for event in own_events()}
    is_yes = request.form.get("action") == "approve"
    chosen = request.form.getlist("request")

    def answer(session: Session, which: str) -> None:
        event_name, _, team_name = which.partition("/")
        if event_name not in own:
            raise NotFound(f"There is no event {event_name}.")
        event, team = find(session, Event, event_name), find(session, Team, team_name)
        joining.answer(session, event, team, is_yes)
        note(session, _said(is_yes), myself(session), event, team.name)

    _each(_said(is_yes), chosen, answer, is_noted=True)
    return redirect(url_for("admin.sign_ups"))


def _said(is_yes: bool) -> str:
    return "signed up" if is_yes else "not signed up"


def _approve(session: Session, name: str) -> None:
    user = people.approve_user(session, name)
    after_commit(session, partial(outbox.send, "approved", user))


def _set_level(session: Session, name: str, level: str) -> None:
    teams.set_access_level(session, name, level)


def _set_notes(session: Session, name: str, notes: str) -> None:
    find(session, User, name).hidden_notes = notes


def _each(
    said: str,
    names: list[str],
    do: Callable[[Session, str], None],
    is_noted: bool = False,
) -> None:
    """Do something for each, in a transaction of its own; what cannot be done is named."""
    done = 0
    for name in dict.fromkeys(names):
        try:
            with writing() as session:
                do(session, name)
                if not is_noted:
                    note(session, said, myself(session), subject=name)
            done += 1
        except DataboardError as error:
            flash(" ".join(explained(error)).strip())
    if done or not names:
        flash(f"{counted(done, 'team' if is_noted else 'user').capitalize()} {said}.")
