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
        "elements": "Names of its element types, with commas between them.",
    }
)
def add_workflow(ctx, name, elements):
    """Register a workflow: a list of element types."""
    from databoard import catalogue
    from databoard.database import session_scope
    from databoard.names import as_list

    element_names = as_list("The list of elements", elements)
    with opened() as (_, engine), session_scope(engine) as session:
        catalogue.add_workflow(session, name, element_names)
    print(f"Added the workflow {name}: {', '.join(element_names)}.")


@command(
    help={
        "name": "Name of the score type, as kits name it.",
        "is_lower_the_better": "True for errors and losses, False for accuracies (1/0, yes/no).",
        "minimum": "The lowest score there is; -inf is a number.",
        "maximum": "The highest score there is; inf is a number.",
    }
)
def add_score_type(ctx, name, is_lower_the_better, minimum, maximum):
    """Register a score, its direction and its bounds."""
    from databoard import catalogue
    from databoard.database import session_scope
    from databoard.names import as_bool, as_number

    is_lower = as_bool("is_lower_the_better", is_lower_the_better)
    bounds = as_number("The minimum", minimum), as_number("The maximum", maximum)
    with opened() as (_, engine), session_scope(engine) as session:
        catalogue.add_score_type(session, name, is_lower, *bounds)
    print(f"Added the score type {name}.")


@command(
    help={
        "name": "Name of the kit, a folder in ramp-kits or one shipped with Databoard.",
        "requirements": "File with the packages of the environment that the kit needs.",
        "force": "Read a registered one again.",
    }
)
def add_problem(ctx, name, requirements=None, force=False):
    """Register a kit as a problem, with its workflow."""
    from databoard import events
    from tasks.kits import read_requirements, showing

    wanted = read_requirements(requirements)
    with opened() as (settings, engine), showing(f"add {name}") as report:
        problem = events.add_problem(engine, settings, name, force, wanted, report)
    print(f"Added the problem {name}: {problem.title}.")


@command(
    help={
        "problem": "Name of the problem; alone it is the name of the event too.",
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
    from databoard import events
    from databoard.names import as_count
    from tasks.kits import read_requirements, showing

    limits = {
        "time_limit": time_limit and as_count("The time limit", time_limit),
        "memory_limit": memory_limit and as_count("The memory limit", memory_limit),
    }
    wanted = read_requirements(requirements)
    with opened() as (settings, engine), showing(f"add {event or problem}") as report:
        added = events.add_event(
            engine,
            settings,
            problem,
            event or problem,
            title or None,
            is_public=is_public or None,
            force=force,
            requirements=wanted,
            report=report,
            **limits,
        )
    print(f"Added the event {added.name}: {added.title}, {added.n_folds} folds.")
