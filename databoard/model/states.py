"""The life of a submission: its states and the legal transitions, here and nowhere else.

The database holds the same table (`submission_transition`) and refuses any other step; a test
compares the two. A submission is *leased* to a worker from `training` until it is `scored` or
has failed; it goes back to `new` when the lease is lost.
"""

NEW = "new"
TRAINING = "training"
TRAINED = "trained"
VALIDATED = "validated"
TESTED = "tested"
SCORED = "scored"
TRAINING_ERROR = "training_error"
VALIDATING_ERROR = "validating_error"
TESTING_ERROR = "testing_error"
SCORING_ERROR = "scoring_error"
CHECKING_ERROR = "checking_error"
DELETED = "deleted"

TRANSITIONS: dict[str, tuple[str, ...]] = {
    NEW: (TRAINING, DELETED),
    # A worker that cannot be set up, or lost its lease too often: checking_error, from any
    # leased state.
    TRAINING: (TRAINED, TRAINING_ERROR, NEW, CHECKING_ERROR),
    TRAINED: (VALIDATED, VALIDATING_ERROR, NEW, CHECKING_ERROR),
    VALIDATED: (TESTED, TESTING_ERROR, NEW, CHECKING_ERROR),
    TESTED: (SCORED, SCORING_ERROR, NEW, CHECKING_ERROR),
    SCORED: (NEW, DELETED),
    TRAINING_ERROR: (NEW, DELETED),
    VALIDATING_ERROR: (NEW, DELETED),
    TESTING_ERROR: (NEW, DELETED),
    SCORING_ERROR: (NEW, DELETED),
    CHECKING_ERROR: (NEW, DELETED),
    DELETED: (NEW,),
}

# What a leased submission becomes when its own code fails, or when a person ends it.
ERROR_OF = {
    TRAINING: TRAINING_ERROR,
    TRAINED: VALIDATING_ERROR,
    VALIDATED: TESTING_ERROR,
    TESTED: SCORING_ERROR,
}
STATES = tuple(TRANSITIONS)
LEASED = (TRAINING, TRAINED, VALIDATED, TESTED)
FAILED = (TRAINING_ERROR, VALIDATING_ERROR, TESTING_ERROR, SCORING_ERROR, CHECKING_ERROR)
SET_BY_HAND = (NEW, DELETED)


def path(source: str, target: str) -> tuple[str, ...]:
    """The shortest legal way from `source` to `target`, without `source`; empty if there is none.

    A way never leads through `new`, `deleted` or a failure: those end a life or begin one.
    """
    ways: list[tuple[str, ...]] = [(source,)]
    for way in ways:
        if way[-1] == target and len(way) > 1:
            return way[1:]
        if way[-1] in LEASED or len(way) == 1:
            ways += [(*way, step) for step in TRANSITIONS[way[-1]] if step not in way]
    return ()
