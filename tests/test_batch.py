"""Files of people: read whole, refused whole, and added by name."""

from __future__ import annotations

import random
import resource
import signal
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from databoard import batch, people
from databoard.database import reading, session_scope
from databoard.errors import AlreadyThere, InvalidValue, NotFound
from databoard.lookup import find
from databoard.model.event import Event, EventTeam
from databoard.model.people import Team, User
from databoard.model.problem import Problem, Workflow

HEAD = "firstname,lastname,email,name,hidden_notes\n"
ADA = "Ada,Lovelace,ada@example.org,ada,first of all\n"
EMMY = "Emmy,Noether,emmy@example.org,emmy,\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def read(file: Path, text: str | bytes) -> list[batch.Row]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(batch.read(file).rows)


def refused(file: Path, text: str | bytes) -> tuple[str, str]:
    with pytest.raises(InvalidValue) as caught:
        read(file, text)
    return caught.value.message.replace(str(file), "FILE"), caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ADA + EMMY,
        (HEAD + ADA + EMMY).replace(",", ";"),
        (HEAD + ADA + EMMY).replace(",", "\t"),
        "\ufeff" + HEAD + ADA + EMMY,
        (HEAD + ADA + EMMY).replace("\n", "\r\n"),
        "firstname  lastname  email name  hidden_notes\n"
        'Ada   Lovelace ada@example.org   ada "first of all"\n'
        'Emmy Noether emmy@example.org emmy ""',
        "Name, Email ,lastname,hidden_notes,firstname\n"
        "ada,ada@example.org,Lovelace,first of all,Ada\n"
        "emmy,emmy@example.org,Noether,,Emmy\n",
    ],
    ids=["commas", "semicolons", "tabs", "bom", "windows", "spaces", "another order"],
)
def test_all_forms_of_a_table(file: Path, text: str) -> None:
    assert read(file, text) == [
        batch.Row(2, "ada@example.org", "ada", "Ada", "Lovelace", "first of all"),
        batch.Row(3, "emmy@example.org", "emmy", "Emmy", "Noether"),
    ]


def test_names_of_all_alphabets(file: Path) -> None:
    names = "Zoë,Łukasiewicz,zoe@example.org,zoe,\n李,明,li@example.org,li,\n"
    assert [row.firstname for row in read(file, HEAD + names)] == ["Zoë", "李"]
    file.write_bytes((HEAD + "Zoë,Müller,zoe@example.org,zoe,\n").encode("latin-1"))
    found = batch.read(file)
    assert (found.is_latin, found.rows[0].lastname) == (True, "Müller")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "FILE is empty.", "Its first line is: firstname,lastname,email,name,hidden_notes"),
        (HEAD, "FILE has no rows.", "Write a person on each line."),
        (
            "firstname,email\nAda,ada@example.org\n",
            "FILE has no column name.",
            "Its first line names them: firstname, lastname, email, name, hidden_notes.",
        ),
        (
            "name,mail\nada,ada@example.org\n",
            "FILE has a column 'mail', which is none.",
            "Did you mean 'email'? Columns: firstname, lastname, email, name, hidden_notes.",
        ),
        (
            HEAD + ADA + "a,b,c,d,e,f,g\n",
            "FILE cannot be read: line 3 has 7 cells, not 5.",
            "Put quotes around texts.",
        ),
        (
            HEAD + "Ada,Lovelace,ada@example.org,ada,notes,more\n",
            "FILE cannot be read: its lines have more cells than its first line has names.",
            "Columns: firstname, lastname, email, name, hidden_notes.",
        ),
        ("name,Name,email\na,b,a@example.org\n", "FILE has the column name twice.", "Remove one."),
        (
            HEAD + "A,B,=1+1@example.org,a,\nA,B,+b@example.org,b,\n",
            "FILE cannot be used:\n"
            "  line 2: the email '=1+1@example.org' is a formula to spreadsheets.\n"
            "  line 3: the email '+b@example.org' is a formula to spreadsheets.",
            "Mend it; nothing is done.",
        ),
        (
            "\n\n" + HEAD + "\n" + ADA + '\n ,,,,\n"a\nb",L,b@example.org,b,\nA,B,bad,c,\n',
            "FILE cannot be used:\n"
            "  line 8: the firstname 'a\\nb' cannot be stored.\n"
            "  line 10: 'bad' is not a mail address.",
            "Mend it; nothing is done.",
        ),
        (
            HEAD + "Ada,L,ada,ada,\n=1+1,@x,b@example.org,b,-3\nA,B,c@example.org,c d,\n",
            "FILE cannot be used:\n"
            "  line 2: 'ada' is not a mail address.\n"
            "  line 3: the firstname '=1+1' is a formula to spreadsheets.\n"
            "  line 3: the lastname '@x' is a formula to spreadsheets.\n"
            "  line 3: the hidden_notes '-3' is a formula to spreadsheets.\n"
            "  line 4: 'c d' cannot be the name of a user.",
            "Mend it; nothing is done.",
        ),
        (
            HEAD + ADA + ADA,
            "FILE cannot be used:\n  line 3: the name ada is in line 2 already.\n"
            "  line 3: the mail address ada@example.org is in line 2 already.",
            "Mend it; nothing is done.",
        ),
        (
            HEAD + "Ada,L,ADA@example.org,ada2,\n" + ADA,
            "FILE cannot be used:\n"
            "  line 3: the mail address ada@example.org is in line 2 already.",
            "Mend it; nothing is done.",
        ),
    ],
)
def test_what_is_wrong_is_told_at_once(file: Path, text: str, message: str, hint: str) -> None:
    assert refused(file, text) == (message, hint)


def test_many_faults_are_cut(file: Path) -> None:
    rows = "".join(f"A,B,bad,n{number},\n" for number in range(30))
    message, _ = refused(file, HEAD + rows)
    assert message.count("\n") == 1 + batch.SHOWN + 1 - 1
    assert message.endswith("and 39 more")


def test_lines_that_are_empty_are_nobody(file: Path) -> None:
    assert read(file, "\n" + HEAD + "\n,,,,\n" + ADA + " \n,,,,\n")[0].line == 5
    spaces = "\nname email\n\n  \nada ada@example.org\n\n"
    assert [row.line for row in read(file, spaces)] == [5]


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(InvalidValue) as caught:
        batch.read(Path("/dev/zero"))
    assert str(caught.value) == "/dev/zero has over 20000000 bytes.\nIs it a table of people?"


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(
        InvalidValue, match=r"cannot be read: No such file or directory\.\nCheck the path"
    ):
        batch.read(file)


def test_passwords_are_for_their_owner_alone(file: Path, tmp_path: Path) -> None:
    file.write_text(HEAD + ADA + EMMY)
    out = tmp_path / "people.csv.w_pwd"
    batch.write_passwords(batch.read(file), out)
    assert out.stat().st_mode & 0o777 == 0o600
    rows = batch.read(out, with_passwords=True).rows
    assert [row.name for row in rows] == ["ada", "emmy"]
    assert len({row.password for row in rows}) == 2 and all(len(row.password) == 16 for row in rows)
    before = out.read_bytes()
    with pytest.raises(AlreadyThere, match=r"is there already\.\nIts passwords may be in use"):
        batch.write_passwords(batch.read(file), out)
    assert out.read_bytes() == before
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyThere):
        batch.write_passwords(batch.read(file), link)
    assert not (tmp_path / "elsewhere").exists()
    out.chmod(0o640)
    with pytest.raises(InvalidValue) as caught:
        batch.read(out, with_passwords=True)
    assert str(caught.value) == (
        f"{out} has passwords, and others may read it.\nThen: chmod 600 {out}"
    )


@pytest.mark.parametrize("password", ["", "short", "x" * 1001])
def test_a_password_that_cannot_be_one_is_told_but_not_shown(file: Path, password: str) -> None:
    file.write_text(f"name,email,password\nada,ada@example.org,{password}\n")
    file.chmod(0o600)
    with pytest.raises(InvalidValue) as caught:
        batch.read(file, with_passwords=True)
    said = f"{file} cannot be used:\n  line 2: the password of ada is too short, or too long."
    assert caught.value.message == said


def test_a_full_disk_leaves_no_half_of_the_passwords(file: Path, tmp_path: Path) -> None:
    rows = "".join(f"A,B,user{number}@example.org,user{number},\n" for number in range(1000))
    file.write_text(HEAD + rows)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # as good as a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            batch.write_passwords(batch.read(file), tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "out").exists()


def passwords_of(file: Path, out: Path) -> batch.People:
    """Passwords for a file, its lines in another order."""
    batch.write_passwords(batch.read(file), out)
    head, *lines = out.read_text().splitlines()
    random.Random(1).shuffle(lines)
    out.write_text("\n".join([head, *lines]) + "\n")
    return batch.read(out, with_passwords=True)


def test_users_are_added_with_the_password_of_their_name(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    names = [f"user{number}" for number in range(6)]
    lines = "".join(f"First,Last,{name.upper()}@example.org,{name},note\n" for name in names)
    file.write_text(HEAD + lines)
    secret = passwords_of(file, tmp_path / "out")
    counts: list[int] = []
    outcome = batch.add_users(engine, batch.read(file), secret, counts.append)
    assert outcome == batch.Outcome(6, 0, ())
    assert counts == [1, 2, 3, 4, 5, 6]
    with reading(engine) as session:
        users = {user.name: user for user in session.scalars(select(User))}
        for row in secret.rows:
            user = users[row.name]
            assert people.is_password(str(user.password_hash), row.password)
            assert (user.email, user.access_level) == (f"{row.name}@example.org", "user")
            assert user.hidden_notes == "note"
            assert [member.name for member in find(session, Team, row.name).members] == [row.name]
    again = batch.add_users(engine, batch.read(file), secret)
    assert again == batch.Outcome(0, 6, ())


def test_who_is_there_otherwise_is_skipped_and_the_others_go_on(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    with session_scope(engine) as session:
        people.create_user(session, "lovelace", "ada@example.org")
        people.create_user(session, "emmy", "noether@example.org")
        session.add(Team(name="engines"))
    more = "G,H,grace@example.org,grace,\nE,E,engines@example.org,engines,\n"
    file.write_text(HEAD + ADA + EMMY + more)
    outcome = batch.add_users(engine, batch.read(file), passwords_of(file, tmp_path / "out"))
    assert outcome == batch.Outcome(
        1,
        0,
        (
            "line 2: ada has the mail address ada@example.org, which belongs to the user lovelace.",
            "line 3: the user emmy is there already, with another mail address.",
            "line 5: there is already a team engines.",
        ),
    )
    with reading(engine) as session:
        assert sorted(session.scalars(select(User.name))) == ["emmy", "grace", "lovelace"]


def test_without_a_password_nobody_is_added(engine: Engine, file: Path, tmp_path: Path) -> None:
    file.write_text(HEAD + ADA)
    secret = passwords_of(file, tmp_path / "out")
    file.write_text(HEAD + ADA + EMMY)
    with pytest.raises(InvalidValue) as caught:
        batch.add_users(engine, batch.read(file), secret)
    assert caught.value.message == "1 users have no password, first emmy."
    with reading(engine) as session:
        assert session.scalars(select(User)).all() == []


def test_they_are_signed_up(engine: Engine, file: Path) -> None:
    with session_scope(engine) as session:
        people.create_user(session, "ada", "ada@example.org", access_level="user")
        people.create_user(session, "emmy", "emmy@example.org")  # she waits for approval
        problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
        folds = {"n_folds": 1, "folds_digest": "0" * 64}
        session.add(Event(name="iris", title="Iris", problem=problem, **folds))
    file.write_text(HEAD + ADA + EMMY + "G,H,grace@example.org,grace,\n")
    with session_scope(engine) as session:
        outcome = batch.sign_up(session, batch.read(file), "iris")
    assert outcome == batch.Outcome(
        1,
        0,
        (
            "line 3: emmy of the team emmy is not approved.",
            "line 4: there is no user grace.",
        ),
    )
    with session_scope(engine) as session:
        assert batch.sign_up(session, batch.read(file), "iris").before == 1
        assert [row.team.name for row in session.scalars(select(EventTeam))] == ["ada"]
        with pytest.raises(NotFound):
            batch.sign_up(session, batch.read(file), "rose")


def test_nobody_is_signed_up_for_somebody_else(engine: Engine, file: Path) -> None:
    with session_scope(engine) as session:
        people.create_user(session, "lovelace", "ada@example.org", access_level="user")
        people.create_user(session, "emmy", "noether@example.org", access_level="user")
        session.add(Team(name="grace"))
        problem = Problem(name="iris", title="Iris", workflow=Workflow(name="Estimator"))
        folds = {"n_folds": 1, "folds_digest": "0" * 64}
        session.add(Event(name="iris", title="Iris", problem=problem, **folds))
    file.write_text(HEAD + ADA + EMMY + "G,H,grace@example.org,grace,\n")
    with session_scope(engine) as session:
        outcome = batch.sign_up(session, batch.read(file), "iris")
        assert session.scalars(select(EventTeam)).all() == []
    assert outcome == batch.Outcome(
        0,
        0,
        (
            "line 2: ada has the mail address ada@example.org, which belongs to the user lovelace.",
            "line 3: the user emmy is there already, with another mail address.",
            "line 4: there is no user grace.",
        ),
    )


def test_made_up_users_have_names_that_are_free(engine: Engine, tmp_path: Path) -> None:
    with session_scope(engine) as session:
        session.add(Team(name="test_user_002"))
    for out, names in (("a", ["test_user_001", "test_user_003"]), ("b", ["test_user_004"])):
        outcome = batch.add_made_up(engine, len(names), tmp_path / out)
        assert outcome == batch.Outcome(len(names), 0, ())
        rows = batch.read(tmp_path / out, with_passwords=True).rows
        assert [row.name for row in rows] == names
        with reading(engine) as session:
            for row in rows:
                user = find(session, User, row.name)
                assert people.is_password(str(user.password_hash), row.password)
    with pytest.raises(AlreadyThere):
        batch.add_made_up(engine, 1, tmp_path / "b")


def test_new_passwords_are_hard_to_guess() -> None:
    many = {batch.new_password() for _ in range(1000)}
    assert len(many) == 1000
    assert all(set(password) <= set(batch.ALPHABET) for password in many)
    assert len(batch.ALPHABET) ** 16 > 2**90
