"""Commands of admins: the catalogue of workflows, score types, problems and events."""

from tasks.command import LEFT_OUT, command, opened


@command(
    help={
        "name": "Name of the type; a submission's file is called so.",
        "kind": "code (a .py file), data or text.",
    }
)
def add_workflow_element_type(ctx, name, kind):
    """Register a kind of file of submissions."""
    from databoard import catalogue
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        catalogue.add_workflow_element_type(session, name, kind)
    print(f"Added the workflow element type {name} ({kind}).")


@command(
    help={
        "name": "Name of the workflow; a kit's is the name of its workflow class.",
        "elements": "Names of its element types, with commas between them; of a plug-in: none.",
    }
)
def add_workflow(ctx, name, elements=LEFT_OUT):
    """Register a workflow: a list of element types."""
    from databoard import catalogue, plugins
    from databoard.database import session_scope
    from databoard.names import as_list

    with opened() as (_, engine), session_scope(engine) as session:
        if elements is LEFT_OUT:
            element_names = catalogue.add_missing_types(session, plugins.workflow(name))
        else:
            element_names = as_list("The list of elements", elements)
        catalogue.add_workflow(session, name, element_names)
    print(f"Added the workflow {name}: {', '.join(element_names)}.")


@command(
    help={
        "name": "Name of the score type, as kits name it.",
        "is_lower_the_better": "True for losses, False for accuracies; of a plug-in: left out.",
        "minimum": "The lowest score there is; -inf is a number.",
        "maximum": "The highest score there is; inf is a number.",
    }
)
def add_score_type(ctx, name, is_lower_the_better=LEFT_OUT, minimum=LEFT_OUT, maximum=LEFT_OUT):
    """Register a score and its bounds."""
    from databoard import catalogue, plugins
    from databoard.database import session_scope
    from databoard.errors import InvalidValue
    from databoard.names import as_bool, as_number

    with opened() as (_, engine), session_scope(engine) as session:
        if is_lower_the_better is LEFT_OUT:
            found = plugins.score_type(name)
        elif maximum is LEFT_OUT:
            raise InvalidValue(
                f"The bounds of {name} are missing.", "Give minimum and maximum; inf is a number."
            )
        else:
            is_lower = as_bool("is_lower_the_better", is_lower_the_better)
            found = is_lower, as_number("The minimum", minimum), as_number("The maximum", maximum)
        catalogue.add_score_type(session, name, *found)
    print(f"Added the score type {name}.")


@command(
    help={
        "name": "Name of the kit, a folder in ramp-kits or one shipped with Databoard.",
        "requirements": "File with the packages of the environment that the kit needs.",
        "force": "Read a registered one again.",
    }
)
def add_problem(ctx, name, requirements=None, force=False):
    """Register a kit as a problem."""
    from databoard import events
    from tasks.environments import read_requirements, showing

    wanted = read_requirements(requirements)
    with opened() as (settings, engine), showing(f"add {name}") as report:
        problem = events.add_problem(engine, settings, name, force, wanted, report)
    print(f"Added the problem {name}: {problem.title}.")


@command(
    help={
        "problem": "Name of the problem; alone it is the name of the event, or of its manifest.",
        "event": "Name of the event.",
        "title": "Its title; by default that of the problem.",
        "is_public": "Show it to everybody.",
        "time_limit": "Seconds that all folds of a submission may run, together (3600).",
        "memory_limit": "MB of memory that a fold may use (4096).",
        "requirements": "File with the packages that its kit runs with; '' for Databoard's own.",
        "force": "Change what is given of an event that is there, and read its kit again.",
    }
)
def add_event(
    ctx,
    problem,
    event=LEFT_OUT,
    title=LEFT_OUT,
    is_public=False,
    time_limit=None,
    memory_limit=None,
    requirements=None,
    force=False,
):
    """Open a problem as an event."""
    from databoard import events, manifest
    from databoard.names import as_count, counted
    from tasks.environments import read_requirements, showing

    limits = {
        "time_limit": time_limit and as_count("The time limit", time_limit),
        "memory_limit": memory_limit and as_count("The memory limit", memory_limit),
    }
    given = {"is_public": is_public or None, **limits}
    name, wanted = event or problem, read_requirements(requirements)
    if event is LEFT_OUT and problem in manifest.names():
        found = manifest.load(problem)
        problem, wanted = found.problem, found.environment if wanted is None else wanted
        typed = {setting: value for setting, value in given.items() if value is not None}
        given = {**found.event, **typed}
    with opened() as (settings, engine), showing(f"add {name}") as report:
        added = events.add_event(
            engine,
            settings,
            problem,
            name,
            title or given.pop("title", None),
            force=force,
            requirements=wanted,
            report=report,
            **given,
        )
    print(f"Added the event {added.name}: {added.title}, {counted(added.n_folds, 'fold')}.")
