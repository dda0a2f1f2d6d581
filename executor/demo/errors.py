"""Why the demo could not start or go on. Each message says what to do next."""


class DemoError(Exception):
    """The root of what stops the demo; the command prints the message alone and exits with 2."""


class ServerUnavailable(DemoError):
    """A server cannot be started here: its wheel is missing, an account is missing, a folder cannot be used."""


class AlreadyRunning(DemoError):
    """Another demo uses the same state folder."""


class ChildDied(DemoError):
    """A process of the demo ended by itself, or did not become ready in time."""
