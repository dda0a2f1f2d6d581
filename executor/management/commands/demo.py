"""`manage.py demo`: the whole of Countersign on this machine, until Ctrl-C."""

from __future__ import annotations

import sys
import tempfile
import threading
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from executor.demo import servers
from executor.demo.errors import ChildDied, DemoError
from executor.demo.launch import Launch, remove
from executor.demo.people import PEOPLE
from executor.demo.state import held
from executor.demo.supervisor import Interrupted, Supervisor
from executor.demo.world import PROJECT, DemoWorld

FINDING, ENVIRONMENT, INTERRUPTED = 1, 2, 130
EPILOG = """\
examples:
  manage.py demo                     start, or resume what the state folder holds
  manage.py demo --fresh             begin anew
  manage.py demo --once              play the whole story without a person; exit status 0 only if every step held
  manage.py demo --state .demo-two   a second demo beside the first

DATABASE_URL and REDIS_URL, where they are set, are used instead of the servers from wheels; COUNTERSIGN_PORT chooses the
port. exit status: 0 stopped on request, or the story held; 1 a step did not hold or a process died; 2 the environment.
"""


class Command(BaseCommand):
    """Needs no database and no settings of its own when it starts: it makes them."""

    help = "Start Countersign with a local AWS, PostgreSQL, Valkey, web, workers and beat; stop everything on Ctrl-C."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fresh", action="store_true", help="begin anew: empty the state folder first")
        parser.add_argument("--once", action="store_true", help="play the story in a state folder of its own, then stop")
        parser.add_argument("--state", type=Path, default=PROJECT / ".demo", metavar="DIR", help="state folder (default .demo)")
        parser.add_argument("--verbose", action="store_true", help="show every log line of every process")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            status = self._once(options) if options["once"] else self._start(options["state"], options, self._until_stopped)
        except Interrupted:
            self._say("Stopped; nothing of the demo runs any more.")
            status = INTERRUPTED if options["once"] else 0
        except ChildDied as error:
            raise CommandError(str(error), returncode=FINDING) from error
        except DemoError as error:
            raise CommandError(str(error), returncode=ENVIRONMENT) from error
        if status:
            sys.exit(status)

    def _once(self, options: dict[str, Any]) -> int:
        """Play the story in a folder that is removed when all held, and kept with its logs when something did not."""
        options["state"].mkdir(mode=0o711, parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix="once-", dir=options["state"]))
        # PostgreSQL's account must be able to walk through; mkdtemp lets nobody.
        path.chmod(0o711)
        status = ENVIRONMENT
        try:
            status = self._start(path, options, self._play)
        finally:
            if status == 0:
                remove(path)
            else:
                self._say(f"The state folder of this run is kept to look at: {path}")
        return status

    def _start(self, path: Path, options: dict[str, Any], then: Callable[[Supervisor, DemoWorld], int]) -> int:
        with held(path) as state:
            if options["fresh"]:
                servers.forget(state)
                self._say(f"Begun anew: {state.path} is empty.")
            with Supervisor(sys.stdout, state.log, verbose=options["verbose"]) as supervisor:
                world = Launch(state, supervisor, self._say, verbose=options["verbose"]).up()
                return then(supervisor, world)

    def _until_stopped(self, supervisor: Supervisor, world: DemoWorld) -> int:
        self._say(welcome(world))
        supervisor.follow()
        return 0

    def _play(self, supervisor: Supervisor, world: DemoWorld) -> int:
        """The story runs beside the supervisor, which must go on reading what the children say."""
        from executor.demo import story

        held_together: list[bool] = []
        failed: list[BaseException] = []

        def tell() -> None:
            try:
                held_together.append(story.play(world))
            except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
                failed.append(error)

        teller = threading.Thread(target=tell, name="story", daemon=True)
        teller.start()
        supervisor.follow(done=lambda: not teller.is_alive())
        if failed:
            raise failed[0]
        return 0 if held_together == [True] else FINDING

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def welcome(world: DemoWorld) -> str:
    """Where to go, who the people are, and how to act with alice's keys."""
    alice = world.keys["alice"]
    people = "\n".join(f"    {person.handle:<8}{person.name:<14}{person.part}" for person in PEOPLE)
    return f"""
Countersign is ready: {world.web_url}
  Sign in with one click as one of
{people}

  Ask for something with alice's keys, in another terminal:
    export AWS_ENDPOINT_URL={world.aws_endpoint} AWS_DEFAULT_REGION={world.region}
    export AWS_ACCESS_KEY_ID={alice.access_key_id} AWS_SECRET_ACCESS_KEY={alice.secret_access_key}
    aws dynamodb delete-table --table-name prod-orders
  or without the AWS CLI:
    {world.python} -c 'import boto3; boto3.client("dynamodb").delete_table(TableName="prod-orders")'
  AWS refuses, and within seconds the portal shows alice a draft of the same call, to confirm and sign.

  Run the auditor's commands, in another terminal:
    set -a; . {world.state / "owner.env"}; set +a
    {world.python} manage.py audit_verify        (audit_export, requests_export; each has --help)

  Notifications that the SNS topic delivers appear below. Logs: {world.state / "logs"}. Stop with Ctrl-C.
"""
