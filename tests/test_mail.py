"""Mails against a real SMTP server: each person gets one, whatever breaks off."""

from __future__ import annotations

import datetime
import email
import email.policy
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from databoard import batch, config, mail, people, roster, smtp
from databoard.database import reading, session_scope
from databoard.errors import DataboardError, InvalidValue, NotFound
from databoard.lookup import find
from databoard.model.people import SentMail, User

NAMES = ("ada", "emmy", "grace", "sofja")
LOGIN = "databoard@example.org", "p@ss/word"


class Postbox:
    """What a server has taken; `on_mail` may answer otherwise, with the address and the count."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.n_connections = 0
        self.on_mail: Callable[[str, int], str | None] = lambda address, count: None

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        self.n_connections += 1
        session.host_name = hostname
        return answers

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address.startswith("full"):
            return "552 the mailbox is full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        address = envelope.rcpt_tos[0]
        answer = self.on_mail(address, len(self.mails))
        if answer == "hang up":
            server.transport.abort()
            return "421 away"
        if answer is None:
            content = envelope.content
            assert isinstance(content, bytes)
            message = email.message_from_bytes(content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append(message)
        return answer or "250 OK"

    @property
    def addresses(self) -> list[str]:
        """To whom mails went."""
        return [message["To"].addresses[0].addr_spec for message in self.mails]


@contextmanager
def running(postbox: Postbox, host: str = "127.0.0.1", **options: Any) -> Iterator[int]:
    """A server on a free port."""
    controller = Controller(postbox, hostname=host, port=0, **options)

    def knock() -> None:  # its own goes to port 0
        socket.create_connection(controller.server.sockets[0].getsockname()).close()

    controller._trigger_server = knock
    controller.start()
    try:
        yield controller.server.sockets[0].getsockname()[1]
    finally:
        controller.stop()


def variables(port: int) -> dict[str, str]:
    """What names a server on this machine."""
    return {
        "DATABOARD_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "DATABOARD_MAIL_FROM": "ramp@example.org",
        "DATABOARD_SITE_URL": "http://localhost",
    }


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def server(postbox: Postbox) -> Iterator[smtp.MailServer]:
    with running(postbox) as port:
        yield server_at(port)


def server_at(port: int, url: str = "smtp://127.0.0.1", site: str = "") -> smtp.MailServer:
    return smtp.server(
        {
            "DATABOARD_SMTP_URL": f"{url}:{port}",
            "DATABOARD_MAIL_FROM": "ramp@example.org",
            "DATABOARD_SITE_URL": site,
        }
    )


@pytest.fixture
def secret(engine: Engine, tmp_path: Path) -> roster.People:
    """Four users, and the file of their passwords."""
    rows = "".join(f"{name.title()},O'Neill,{name}@example.org,{name},\n" for name in NAMES)
    (tmp_path / "people").write_text("firstname,lastname,email,name,hidden_notes\n" + rows)
    found = roster.read(tmp_path / "people")
    roster.write_passwords(found, tmp_path / "secret")
    passwords = roster.read(tmp_path / "secret", with_passwords=True)
    batch.add_users(engine, found, passwords)
    return passwords


def kinds(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return sorted(session.scalars(select(SentMail.kind)))


def hash_of(engine: Engine, name: str) -> str:
    with reading(engine) as session:
        return str(find(session, User, name).password_hash)


def test_each_gets_the_password_of_their_name_once(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    counts: list[int] = []
    assert mail.send_passwords(engine, server, secret, counts.append) == batch.Outcome(4, 0, ())
    assert counts == [1, 2, 3, 4]
    assert postbox.addresses == [f"{name}@example.org" for name in NAMES]
    for message, row in zip(postbox.mails, secret.rows, strict=True):
        text = message.get_content().replace("\r\n", "\n")
        assert f"user name  {row.name}\n" in text and f"password   {row.password}\n" in text
        assert message["To"].addresses[0].display_name == f"{row.firstname} O'Neill"
        assert str(message["From"]) == "ramp@example.org"
        assert message["Date"] and message["Message-ID"].endswith("@example.org>")
    assert postbox.n_connections == 1
    assert mail.send_passwords(engine, server, secret) == batch.Outcome(0, 4, ())
    assert len(postbox.mails) == 4


def test_the_site_is_named(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    at = server_at(server.port, site="https://databoard.example.org")
    mail.send_password(engine, at, "ada")
    assert postbox.mails[0]["Subject"] == "Your password at https://databoard.example.org"
    assert "data challenges at https://databoard.example.org:" in postbox.mails[0].get_content()


def test_names_of_all_alphabets_stay_one_header(server: smtp.MailServer) -> None:
    row = roster.Row(2, "li@example.org", "li", '李, "明"', "Müller; x@example.com")
    message = email.message_from_bytes(
        mail.password_mail(server, row, "secret").as_bytes(), policy=email.policy.default
    )
    (person,) = message["To"].addresses
    assert person.addr_spec == "li@example.org"
    assert person.display_name == '李, "明" Müller; x@example.com'


def test_who_is_refused_is_reported_and_the_others_go_on(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    with session_scope(engine) as session:
        find(session, User, "grace").email = "grace@example.net"
        find(session, User, "sofja").password_hash = people.hash_password("another one")
    postbox.on_mail = lambda address, _: "554 spam" if address.startswith("ada") else None
    stranger = roster.Row(6, "zoe@example.org", "zoe", password="x" * 16)
    given = roster.People((*secret.rows, stranger))
    assert mail.send_passwords(engine, server, given) == batch.Outcome(
        1,
        0,
        (
            "line 2: the server refuses it: 554 'spam'",
            "line 4: grace has another mail address by now.",
            "line 5: sofja has another password, or none.",
            "line 6: there is no user zoe.",
        ),
    )
    assert (postbox.addresses, kinds(engine)) == (["emmy@example.org"], ["password"])
    postbox.on_mail = lambda address, count: None
    outcome = mail.send_passwords(engine, server, given)
    assert (outcome.done, outcome.before, len(outcome.skipped)) == (1, 1, 3)
    assert postbox.addresses == ["emmy@example.org", "ada@example.org"]


def test_a_full_mailbox_is_one_persons_trouble(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    with session_scope(engine) as session:
        find(session, User, "ada").email = "full@example.org"
    rows = (roster.Row(2, "full@example.org", "ada", password=secret.rows[0].password),)
    outcome = mail.send_passwords(engine, server, roster.People((*rows, secret.rows[1])))
    assert outcome.skipped == (
        "line 2: the server refuses full@example.org: 552 'the mailbox is full'",
    )
    assert postbox.addresses == ["emmy@example.org"]


def test_a_server_that_ends_the_connection_after_each_mail(
    engine: Engine, postbox: Postbox, secret: roster.People
) -> None:
    class Impatient(Postbox):
        async def handle_NOOP(
            self, server: SMTP, session: Session, envelope: Envelope, arg: str
        ) -> str:
            server.transport.abort()
            return "421 enough"

    impatient = Impatient()
    with running(impatient) as port:
        outcome = mail.send_passwords(engine, server_at(port), secret)
    assert (outcome.done, impatient.n_connections) == (4, 4)


def test_what_breaks_off_goes_on_and_nobody_gets_two(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    postbox.on_mail = lambda address, count: "hang up" if count == 2 else None
    with pytest.raises(DataboardError, match=r"broke while .*grace@example.org.* was sent a mail"):
        mail.send_passwords(engine, server, secret)
    assert kinds(engine) == ["password", "password", "password begun"]
    postbox.on_mail = lambda address, count: None
    assert mail.send_passwords(engine, server, secret) == batch.Outcome(
        1,
        2,
        (
            "line 4: a mail to grace may have been sent when this was broken off; if it did not "
            "come: inv send-password-mail grace",
        ),
    )
    assert postbox.addresses == ["ada@example.org", "emmy@example.org", "sofja@example.org"]
    mail.send_password(engine, server, "grace")
    assert postbox.addresses[3:] == ["grace@example.org"]


def test_a_killed_command_is_repeated(
    engine: Engine,
    postbox: Postbox,
    server: smtp.MailServer,
    secret: roster.People,
    tmp_path: Path,
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def wait(address: str, count: int) -> None:
        if count == 2:
            arrived.set()
            go_on.wait(60)

    postbox.on_mail = wait
    command = [sys.executable, "-m", "invoke", "--search-root", str(config.ROOT)]
    environment = os.environ | {
        "DATABOARD_DB_URL": engine.url.render_as_string(hide_password=False),
        "DATABOARD_SMTP_URL": f"smtp://127.0.0.1:{server.port}",
        "DATABOARD_MAIL_FROM": "ramp@example.org",
    }
    command += ["send-password-mails", str(tmp_path / "secret")]
    with subprocess.Popen(command, env=environment) as process:
        assert arrived.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        go_on.set()
    outcome = mail.send_passwords(engine, server, secret)
    assert (outcome.done, outcome.before, len(outcome.skipped)) == (1, 2, 1)
    assert len(set(postbox.addresses)) == len(postbox.addresses)


def test_two_at_once_send_one_each(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    threads = [
        threading.Thread(target=mail.send_passwords, args=(engine, server, secret))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(postbox.addresses) == [f"{name}@example.org" for name in NAMES]


def test_a_note_stands_once(engine: Engine, secret: roster.People) -> None:
    with pytest.raises(IntegrityError), session_scope(engine) as session:
        for _ in range(2):
            session.add(SentMail(user_id=1, kind=mail.BEGUN, occasion="x"))


def test_a_plan_sends_nothing_and_shows_no_password(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    due, outcome = mail.plan_passwords(engine, server, secret)
    assert (outcome, postbox.n_connections, kinds(engine)) == (batch.Outcome(4, 0, ()), 0, [])
    assert mail.HIDDEN in due[0].get_content()
    shown = "".join(message.as_string() for message in due)
    assert not any(row.password in shown for row in secret.rows)


def test_a_new_password_holds_when_its_mail_is_sent(
    engine: Engine, postbox: Postbox, server: smtp.MailServer, secret: roster.People
) -> None:
    before = hash_of(engine, "ada")
    postbox.on_mail = lambda address, count: "554 spam"
    with pytest.raises(smtp.NotSent) as caught:
        mail.send_password(engine, server, "ada")
    assert str(caught.value) == (
        "No mail was sent to ada: the server refuses it: 554 'spam'\n"
        "The old password holds. Repeat the command when the cause is gone."
    )
    assert (hash_of(engine, "ada"), kinds(engine)) == (before, [])
    postbox.on_mail = lambda address, count: None
    mail.send_password(engine, server, "ada")
    text = postbox.mails[0].get_content()
    password = text.partition("password   ")[2].split()[0]
    assert people.is_password(hash_of(engine, "ada"), password)
    with pytest.raises(NotFound):
        mail.send_password(engine, server, "nobody")


def test_a_server_that_is_slow_to_greet_keeps_nobody_from_writing(
    engine: Engine, secret: roster.People
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = server_at(silent.getsockname()[1])
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(mail.send_password, engine, server, "ada")
            connection, _ = silent.accept()
            with session_scope(engine) as session:
                find(session, User, "ada").firstname = "Augusta"
            connection.close()
            with pytest.raises(smtp.NoServer):
                sending.result()


# -- who may be spoken to


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 and 127.0.0.2, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address(f"127.0.0.{last}")) for last in (1, 2)]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def check_login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
) -> AuthResult:
    assert isinstance(given, LoginPassword)
    is_right = (given.login.decode(), given.password.decode()) == LOGIN
    return AuthResult(success=is_right, handled=False)


@pytest.mark.parametrize("form", ["smtps", "starttls"])
def test_encryption_is_checked_and_the_user_logs_in(
    engine: Engine,
    postbox: Postbox,
    secret: roster.People,
    certificate: Path,
    tls: ssl.SSLContext,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login = {"authenticator": check_login, "auth_required": True}
    options = (
        {"ssl_context": tls, "auth_require_tls": False, **login}
        if form == "smtps"
        else {"tls_context": tls, "require_starttls": True, **login}
    )
    scheme = "smtps" if form == "smtps" else "smtp"
    user = "databoard%40example.org"
    with running(postbox, "127.0.0.2", **options) as port:
        good = server_at(port, f"{scheme}://{user}:p%40ss%2Fword@127.0.0.2")
        with pytest.raises(smtp.NoServer, match="cannot be used: self-signed certificate"):
            mail.send_passwords(engine, good, secret)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        bad = server_at(port, f"{scheme}://{user}:wrong-one@127.0.0.2")
        with pytest.raises(smtp.NoServer) as caught:
            mail.send_passwords(engine, bad, secret)
        assert caught.value.message == (
            "The mail server 127.0.0.2 refuses the user databoard@example.org."
        )
        assert (kinds(engine), postbox.mails) == ([], [])
        assert mail.send_passwords(engine, good, secret).done == 4
    assert "p@ss/word" not in repr(good)


def test_no_password_goes_over_the_net_in_the_clear(
    engine: Engine, postbox: Postbox, secret: roster.People
) -> None:
    with (
        running(postbox, "127.0.0.2") as port,
        pytest.raises(smtp.NoServer, match="STARTTLS extension not supported by server"),
    ):
        mail.send_passwords(engine, server_at(port, "smtp://127.0.0.2"), secret)
    assert postbox.mails == []


def test_a_server_that_is_away(engine: Engine, postbox: Postbox, secret: roster.People) -> None:
    with running(postbox) as port:
        pass
    with pytest.raises(smtp.NoServer) as caught:
        mail.send_passwords(engine, server_at(port), secret)
    assert caught.value.message == (
        f"The mail server 127.0.0.1:{port} cannot be used: Connection refused"
    )
    assert kinds(engine) == []


def test_a_server_that_does_not_know_the_sender(engine: Engine, secret: roster.People) -> None:
    class Strict(Postbox):
        async def handle_MAIL(
            self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
        ) -> str:
            return "553 no such sender"

    with running(Strict()) as port, pytest.raises(smtp.NoServer) as caught:
        mail.send_passwords(engine, server_at(port), secret)
    assert caught.value.message == (
        "The mail server takes no mail from ramp@example.org: 553 'no such sender'"
    )
    assert kinds(engine) == []


@pytest.mark.parametrize(
    "url",
    ["", "mail.example.org", "http://mail.example.org", "smtp://", "smtp://h:port", "smtp://h/x"],
)
def test_a_setting_that_names_no_server(url: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        smtp.server({"DATABOARD_SMTP_URL": url, "DATABOARD_MAIL_FROM": "ramp@example.org"})
    assert caught.value.message == "DATABOARD_SMTP_URL names no mail server."


@pytest.mark.parametrize("account", ["ramp:p%C3%A4ss", "r%C3%A4mp:pass"])
def test_no_error_shows_the_password_of_the_server(account: str) -> None:
    url = f"smtp://{account}@mail.example.org"
    with pytest.raises(InvalidValue) as caught:
        smtp.server({"DATABOARD_SMTP_URL": url, "DATABOARD_MAIL_FROM": "ramp@example.org"})
    assert str(caught.value) == (
        "The user or the password in DATABOARD_SMTP_URL is not ASCII.\n"
        "Give the account another password."
    )
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "site", ["https://example.org\nBcc: all@example.org", "https://a b", "\x1b"]
)
def test_the_site_is_one_word(site: str) -> None:
    with pytest.raises(InvalidValue, match=r"^DATABOARD_SITE_URL is no address\.\nWrite https:"):
        server_at(25, site=site)


def test_the_sender_is_an_address() -> None:
    with pytest.raises(InvalidValue, match="DATABOARD_MAIL_FROM is no mail address"):
        smtp.server({"DATABOARD_SMTP_URL": "smtp://localhost", "DATABOARD_MAIL_FROM": "ramp"})
    found = smtp.server(
        {"DATABOARD_SMTP_URL": "smtps://mail.example.org", "DATABOARD_MAIL_FROM": "r@example.org"}
    )
    assert (found.host, found.port, found.is_encrypted) == ("mail.example.org", 465, True)
