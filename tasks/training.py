"""Commands of admins and of the backend: training what was submitted."""

from tasks.command import LEFT_OUT, command, opened

UNSAFE = "Run submitted code without its box, with all rights of yours: only code that you trust."
UNEXPLAINED = "No part of its run record does. Does it use random numbers that are not seeded?"


@command(
    help={
        "event": "Name of the event.",
        "team": "Only of this team.",
        "submission": "Only of this name.",
        "state": "First put back into the queue what is in this state, e.g. training_error.",
        "force": "First put back into the queue all that is scored or has failed.",
        "jobs": "Folds to train at once; by default the number of cores.",
        "contributivity": "Then compute contributivities.",
        "unsafe_no_sandbox": UNSAFE,
    }
)
def train_test(
    ctx,
    event,
    team=None,
    submission=None,
    state=None,
    force=False,
    jobs=None,
    contributivity=False,
    unsafe_no_sandbox=False,
):
    """Train the waiting submissions of an event."""
    from databoard import submissions
    from databoard.database import session_scope
    from databoard.errors import DataboardError
    from databoard.lookup import find
    from databoard.model.event import Event
    from databoard.model.people import Team
    from databoard.model.states import CHECKING_ERROR, FAILED, NEW, SCORED, TRANSITIONS
    from databoard.model.submission import Submission
    from databoard.names import as_count

    slots = None if jobs is None else as_count("The number of jobs", jobs)
    with opened() as (settings, engine):
        with session_scope(engine) as session:
            found = find(session, Event, event)
            if found.is_paused:
                raise DataboardError(
                    f"The event {event} is paused.",
                    f"Go on with it: inv update-event {event} --is-paused=no",
                )
            which = Submission.event_id == found.id
            if team is not None:
                which &= Submission.team_id == find(session, Team, team).id
            if submission is not None:
                which &= Submission.name == submission
            again = [SCORED, *FAILED] if force else []
            if state is not None and NEW in TRANSITIONS[submissions.check_state(state)]:
                again.append(state)
            submissions.put_back(session, which & Submission.state.in_(again))
        ended = train(settings, engine, slots, which, is_boxed=not unsafe_no_sandbox)
        many = f"Trained {len(ended)} of {event}: {counted(ended)}."
        print(many if ended else "Nothing to train.", flush=True)
        if contributivity:
            from tasks.ensemble import blend

            print(blend(settings, engine, event))
    if CHECKING_ERROR in ended:
        from invoke import Exit

        raise Exit(f"See why: inv print-submissions {event} --errors", code=1)


@command(
    help={
        "event": "Only of this event.",
        "timeout": "Seconds to wait before looking again at an empty queue.",
        "jobs": "Folds to train at once; by default the number of cores.",
        "contributivity": "Compute contributivities, too, whenever submissions have changed.",
        "unsafe_no_sandbox": UNSAFE,
    }
)
def backend_train_test_loop(
    ctx,
    event=LEFT_OUT,
    timeout="1",
    jobs=None,
    contributivity=False,
    unsafe_no_sandbox=False,
):
    """Train whatever is submitted, until stopped."""
    from databoard.database import reading
    from databoard.errors import InvalidValue
    from databoard.lookup import find
    from databoard.model.event import Event
    from databoard.model.submission import Submission
    from databoard.names import as_count, as_number

    slots = None if jobs is None else as_count("The number of jobs", jobs)
    pause = as_number("The timeout", timeout)
    if not 0 < pause < float("inf"):
        raise InvalidValue(f"The timeout is {timeout}.", "Use a number of seconds above 0.")
    is_boxed = not unsafe_no_sandbox
    with opened() as (settings, engine):
        which = None
        if event:
            with reading(engine) as session:
                which = Submission.event_id == find(session, Event, event).id
        print("Training what comes in; stop with Ctrl-C.", flush=True)
        if not contributivity:
            train(settings, engine, slots, which, pause, is_boxed=is_boxed)
            return
        from tasks.ensemble import blending_beside

        with blending_beside(settings, engine, event) as blend:
            train(settings, engine, slots, which, pause, blend, is_boxed)


@command(
    help={
        "event": "Name of the event.",
        "team": "Name of the team.",
        "submission": "Name of the submission.",
        "json": "Print what differs as JSON.",
        "unsafe_no_sandbox": UNSAFE,
    }
)
def reproduce(ctx, event, team, submission, json=False, unsafe_no_sandbox=False):
    """Run a submission again; compare its scores."""
    import asyncio

    from invoke import Exit

    from databoard.training.reproduction import reproduce
    from tasks.progress import showing_folds
    from tasks.table import print_board, print_settings

    with opened() as (settings, engine), showing_folds("running again") as report:
        one, is_boxed = (event, team, submission), not unsafe_no_sandbox
        again = reproduce(engine, settings, *one, report, is_boxed)
        found = asyncio.run(again)
    board, changed = found.board(), found.changed()
    if json:
        names = [column.name for column in board.columns]
        scores = [dict(zip(names, row, strict=True)) for row in board.rows]
        parts = [{"part": part, "stored": old, "now": new} for part, old, new in found.record()]
        print_settings({"submission": found.label, "scores": scores, "record": parts})
        raise Exit(code=1 if scores else 0)
    n = len(found.stored)
    if not board.rows:
        though = f", though its run record differs in: {changed}" if changed else ""
        print(f"All {n} scores of {found.label} are the same again, to the last digit{though}.")
        return
    print_board(board)
    why = f"Its run record differs in: {changed}." if changed else UNEXPLAINED
    raise Exit(f"{len(board.rows)} of {n} scores of {found.label} differ.\n{why}", code=1)


def train(
    settings,
    engine,
    jobs=None,
    which=None,
    pause=None,
    on_scored=lambda: None,
    is_boxed=True,
) -> list[str]:
    """Run a worker here, with its progress; until the queue is empty, or with `pause` for ever.

    Returns the states that submissions ended in. SIGTERM and Ctrl-C give back what is leased.
    Raises DataboardError where no code can be boxed.
    """
    import asyncio
    import signal
    from contextlib import suppress

    from databoard.model.states import SCORED
    from databoard.training.worker import Worker
    from tasks.progress import showing_progress

    async def work(worker: Worker) -> None:
        current = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
        await (worker.drain() if pause is None else worker.serve(pause))

    with showing_progress() as (report, ended), suppress(asyncio.CancelledError):

        def tell(news) -> None:
            report(news)
            if news.what == SCORED:
                on_scored()

        worker = Worker(engine, settings, jobs, which, tell, is_boxed=is_boxed)
        asyncio.run(work(worker))  # until told to stop
    return ended


def counted(states: list[str]) -> str:
    """`2 scored, 1 training_error`."""
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
