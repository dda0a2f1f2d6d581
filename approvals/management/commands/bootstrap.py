"""`manage.py bootstrap MANIFEST`: seal the genesis manifest, once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from approvals import genesis
from approvals.errors import AlreadySealed, BadManifest
from approvals.genesis import Invited
from approvals.management.addresses import origin


class Command(BaseCommand):
    """Runs as the owner of the tables, once in the life of an installation."""

    help = (
        "Seal the genesis manifest: accounts, persons, groups, guardrails and grants. Runs once; afterwards nobody changes "
        "authority alone. Prints the genesis hash: put it into the executor's configuration as COUNTERSIGN_GENESIS. Prints an "
        "enrolment link for each person without a passkey, once: nothing stores its code. Set COUNTERSIGN_ORIGIN, so that the "
        "links are whole.\n\n"
        "Example: manage.py bootstrap genesis.yaml --check   (read it, write nothing)\n"
        "         manage.py bootstrap genesis.yaml\n\n"
        "Exit status: 0 done, 1 sealed before, 2 the manifest or the environment is wrong."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="the manifest's file, in YAML (docs/genesis.md)")
        parser.add_argument(
            "--check", action="store_true", help="read the manifest and say whether it could be sealed; write nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["manifest"]
        try:
            manifest = genesis.read(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}.", returncode=2) from error
        except BadManifest as error:
            raise CommandError(f"{path}: {error} Nothing was written.", returncode=2) from error
        if options["check"]:
            self.stdout.write(f"{path} can be sealed: {len(manifest.persons)} persons, {len(manifest.guardrails)} guardrails.")
            return
        try:
            sealed = genesis.seal(manifest)
        except AlreadySealed as error:
            raise CommandError(str(error), returncode=1) from error
        if options["json"]:
            links = [
                {"handle": one.handle, "link": link_of(one), "until": one.until.replace(microsecond=0).isoformat()}
                for one in sealed.invited
            ]
            said = {"genesis": sealed.hash, "without_passkey": list(sealed.without_passkey), "enrolment": links}
            self.stdout.write(json.dumps(said))
            return
        self.stdout.write(f"Sealed. Put this into the executor's configuration:\nCOUNTERSIGN_GENESIS={sealed.hash}")
        if sealed.invited:
            self.stdout.write(
                f"\n{len(sealed.invited)} persons have no passkey and cannot sign yet. Hand each his own link, which is "
                "shown this once and opens once:"
            )
        for one in sealed.invited:
            self.stdout.write(f"{one.handle}  {link_of(one)}  until {one.until:%Y-%m-%d %H:%M} UTC")
        if sealed.invited and not origin():
            self.stdout.write(
                "COUNTERSIGN_ORIGIN is not set, so these are paths: put the portal's address in front of each, such as "
                "https://countersign.example.com."
            )


def link_of(invited: Invited) -> str:
    """The enrolment link. The code stands behind the #, which a browser sends to no server."""
    return f"{origin()}{reverse('enrol', args=[invited.id])}#{invited.code}"
