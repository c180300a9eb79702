"""The one error base. Commands print the message, then the hint, and exit 1."""


class DataboardError(Exception):
    """A mistake or a mishap that a person can understand and mend.

    `message` is one sentence that names the thing; `hint` is the next step.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InvalidValue(DataboardError):
    """Something typed is not of the form that is asked for."""


class NotFound(DataboardError):
    """A name that is not in the database or on disk."""


class AlreadyThere(DataboardError):
    """A name that is taken."""


class KitError(DataboardError):
    """A kit lacks something, or its own code fails."""


class LeaseLost(DataboardError):
    """The worker no longer holds the submission; what it computed is not stored."""
