"""What can go wrong between us and AWS, or between two workers: one class a cause."""

from __future__ import annotations

from typing import Final

from approvals.errors import CountersignError

# From this status on it is AWS that broke, and not the call that was wrong.
SERVER_ERROR: Final = 500


class AwsError(CountersignError):
    """The root of what AWS answered, or did not. Carries no secret: its text is shown and stored."""

    @property
    def passing(self) -> bool:
        """Whether it decides nothing: asked a little later, AWS may have a better answer."""
        return False


class AwsRefused(AwsError):
    """AWS said no, and nothing happened. `code` is AWS's own, `status` HTTP's, `throttled` says that the same call may succeed
    later."""

    def __init__(self, code: str, message: str, *, request_id: str = "", throttled: bool = False, status: int = 0) -> None:
        self.code, self.message, self.request_id, self.throttled, self.status = code, message, request_id, throttled, status
        super().__init__(f"AWS refused: {code}: {message}" if message else f"AWS refused: {code}")

    @property
    def passing(self) -> bool:
        """Whether it decides nothing: by its code or its status."""
        return self.throttled or self.status >= SERVER_ERROR


class AwsUnavailable(AwsError):
    """A call that may be repeated (a read, a queue, a topic, a session) got no answer that could be used."""

    @property
    def passing(self) -> bool:
        """Always: nothing was answered."""
        return True


class NotDescribed(AwsError):
    """No row says how the target of this operation is read, so nothing can be said of its state."""


class WillNotSettle(AwsError):
    """The target is in a state from which the call's effect will not be complete any more."""


class PolicyTooLarge(AwsError):
    """The session policy for a step is larger than AWS takes; the plan has to be split."""


class NotNamed(AwsError):
    """A step does not name what it acts on plainly, so that a session for it would be one for everything of its kind."""


class WrongAccount(AwsError):
    """The session that was assumed is not one of the account and role that were signed."""


class Superseded(CountersignError):
    """The claim was taken over, or ended, by somebody else: this worker must not act any more."""


class NoPlaceForClaims(AwsError):
    """The bucket for claims does not keep them: it is not versioned, not locked, or not ours to read. Says what to set right."""


class ClaimedElsewhere(CountersignError):
    """A claim of this request lies outside the database that no attempt in the database accounts for: whether the call was made
    is not known. `key` is its place, `found` what it says."""

    def __init__(self, key: str, found: str) -> None:
        self.key, self.found = key, found
        super().__init__(f"A claim lies outside the database at {key}. {found}")
