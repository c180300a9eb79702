"""Getting in and out: signing up, confirming, logging in, setting a password anew."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from databoard import accounts
from databoard.errors import DataboardError
from databoard.interactions import TooMany
from databoard.web import outbox
from databoard.web.session import begin, end, note, viewer, writing
from databoard.web.words import explained

blueprint = Blueprint("account", __name__)
Page = str | Response | tuple[str, int]


@blueprint.get("/login")
def log_in() -> Page:
    """The form."""
    if viewer().user is not None:
        return redirect(_next())
    return render_template("login.html", next=request.args.get("next", ""))


@blueprint.post("/login")
def logging_in() -> Page:
    """Begin a session; a user or a mail address, and the password."""
    account, password = request.form.get("account", ""), request.form.get("password", "")
    user, said = None, "There is no such account with this password."
    try:
        with writing() as session:
            user = accounts.log_in(session, account, password, request.remote_addr or "")
            is_asked = user is not None and accounts.asks_to_confirm(session, user)
    except TooMany as error:
        said = f"{error.message} {error.hint}"
    if user is None:
        wanted = request.form.get("next", "")
        return render_template("login.html", next=wanted, account=account, error=said), 401
    begin(user)
    if is_asked:
        outbox.ask_to_confirm(user)
        flash("We sent you a mail: open the link in it to confirm your address.")
    return redirect(_next())


@blueprint.post("/logout")
def log_out() -> Response:
    """End the session."""
    end()
    return redirect(url_for("pages.index"))


@blueprint.get("/sign-up")
def sign_up() -> Page:
    """The form."""
    return render_template("sign_up.html", typed={})


@blueprint.post("/sign-up")
def signing_up() -> Page:
    """Make an account, and log in; what it may do an admin decides."""
    form = {
        name: request.form.get(name, "")
        for name in ("name", "email", "firstname", "lastname", "password")
    }
    can_mail = outbox.server() is not None
    try:
        with writing() as session:
            user = accounts.sign_up(session, **form)
            if not can_mail:  # nobody can be asked to confirm
                user.access_level = "asked"
            session.flush()
            note(session, "signed up", user)
    except DataboardError as error:
        message, hint = explained(error)
        return render_template("sign_up.html", typed=form, error=message, hint=hint), 400
    begin(user)
    if can_mail:
        outbox.ask_to_confirm(user)
        flash("Welcome. We sent you a mail: open the link in it to confirm your address.")
    else:
        flash("Welcome. An admin will look at your account, and let you in.")
    return redirect(url_for("profile.show"))


@blueprint.get("/confirm/<text>")
def confirm(text: str) -> Page:
    """The page of the link in the mail; programs that look at links confirm nothing."""
    return render_template("confirm.html", text=text)


@blueprint.post("/confirm/<text>")
def confirming(text: str) -> Page:
    """Confirm the address."""
    with writing() as session:
        user = accounts.confirm(session, _key(), text)
    said = "Your mail address is confirmed."
    if user.access_level == "asked":
        said += " An admin will look at your account, and let you in."
    flash(said)
    return redirect(url_for("profile.show"))


@blueprint.get("/reset")
def reset() -> Page:
    """The form that asks for a link."""
    return render_template("reset.html", can_mail=outbox.server() is not None)


@blueprint.post("/reset")
def resetting() -> Page:
    """Send a link to whoever has the account; the answer is the same if nobody has."""
    user = None
    try:
        with writing() as session:
            account = request.form.get("account", "")
            user = accounts.ask_reset(session, account, request.remote_addr or "")
    except TooMany:
        pass
    if user is not None:
        link = outbox.link("account.set_password", text=accounts.reset_link(_key(), user))
        outbox.send("reset", user, link=link)
    return render_template("reset_sent.html")


@blueprint.get("/reset/<text>")
def set_password(text: str) -> Page:
    """The form for a new password, if the link is valid."""
    with writing() as session:
        accounts.find_reset(session, _key(), text)
    return render_template("set_password.html", text=text)


@blueprint.post("/reset/<text>")
def setting_password(text: str) -> Page:
    """Set it; all sessions of before end, and the link is used up."""
    try:
        with writing() as session:
            user = accounts.find_reset(session, _key(), text)
            accounts.change_password(session, user, request.form.get("password", ""))
    except DataboardError as error:
        message, hint = explained(error)
        return render_template("set_password.html", text=text, error=message, hint=hint), 400
    begin(user)
    flash("Your new password is set.")
    return redirect(url_for("pages.index"))


def _key() -> str:
    return str(current_app.secret_key)


def _next() -> str:
    """Where a user wanted to go; within this site, whatever the address says."""
    wanted = request.values.get("next", "")
    parts = urlsplit(wanted)
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    is_ours = is_ours and not (parts.scheme or parts.netloc) and wanted.isprintable()
    return wanted if is_ours else url_for("pages.index")
