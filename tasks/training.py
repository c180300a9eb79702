"""Commands of admins and of the backend: training what was submitted."""

from tasks.command import LEFT_OUT, command, opened

UNSAFE = "Run submitted code without its box, with all rights of yours: only code that you trust."


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
