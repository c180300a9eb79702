"""A user's own page: name, password, tokens, teams."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload
from werkzeug.wrappers import Response

from databoard import accounts, people
from databoard.errors import DataboardError
from databoard.model.people import AccessToken, Team, TeamMember, User
from databoard.web import outbox
from databoard.web.session import begin, end, logged_in, myself, note, reading, viewer, writing
from databoard.web.words import explained

blueprint = Blueprint("profile", __name__, url_prefix="/profile")
Page = str | Response | tuple[str, int]


@blueprint.get("")
@logged_in
def show() -> Page:
    """The page."""
    return page()


def page(error: str = "", hint: str = "", token: str = "") -> str:
    """It may say what was wrong; a token that was made just now is shown on it, this once."""
    user, session = viewer().user, reading()
    assert user is not None
    tokens = session.scalars(
        select(AccessToken).where(AccessToken.user_id == user.id).order_by(AccessToken.name)
    ).all()
    teams = session.scalars(
        select(Team)
        .join(TeamMember)
        .where(TeamMember.user_id == user.id)
        .options(selectinload(Team.members))
        .order_by(Team.name)
    ).all()
    return render_template(
        "profile.html", user=user, tokens=tokens, teams=teams, error=error, hint=hint, token=token
    )


@blueprint.post("")
@logged_in
def change() -> Page:
    """One of the forms on the page: what it does is its `action`."""
    form, user = request.form, viewer().user
    assert user is not None
    action, token = form.get("action", ""), ""
    try:
        with writing() as session:
            me = myself(session)
            if action == "names":
                people.rename(me, form.get("firstname", ""), form.get("lastname", ""))
                note(session, "changed the profile", me)
                flash("Your name is changed.")
            elif action == "mail":
                _change_mail(session, me, form)
            elif action == "password":
                before, after = form.get("before", ""), form.get("password", "")
                accounts.change_own_password(session, me, before, after)
                flash("Your password is changed; all your other sessions have ended.")
            elif action == "token":
                token = accounts.add_token(session, me, form.get("name", ""))
            elif action == "delete token":
                accounts.delete_token(session, me, form.get("name", ""))
                flash("The token is deleted: programs that have it are refused from now on.")
            elif action == "leave":
                accounts.close(session, me, form.get("leaving", ""))
    except DataboardError as error:
        message, hint = explained(error)
        return page(message, hint), 400
    if action == "leave":
        end()
        flash("Your account is closed.")
        return redirect(url_for("pages.index"))
    if action == "password":
        begin(me)
    if token:  # on the page itself: a redirect would have to carry it
        return page(token=token)
    return redirect(url_for("profile.show"))


def _change_mail(session: Session, me: User, form: Mapping[str, str]) -> None:
    """At once, or where mails can be sent, when the link in one is opened."""
    email = accounts.ask_mail(session, me, form.get("known", ""), form.get("email", ""))
    if outbox.server() is None:
        accounts.change_mail(session, me, email)
        flash("Your mail address is changed.")
    else:
        outbox.ask_to_confirm(me, email)
        flash(f"We sent a mail to {email}: open the link in it, and it is yours here too.")
