"""`manage.py database_roles`: create the processes' database roles and give each the least that it needs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, transaction

from approvals import access


class Command(BaseCommand):
    """Runs as the owner of the tables, after `migrate`. Safe to repeat."""

    help = (
        "Create the database roles of the five processes where they are missing, and give each the least rights "
        "that its work needs. Run it as the owner after every migrate.\n\n"
        "Example: COUNTERSIGN_PROCESS=owner DATABASE_OWNER_URL=postgresql://owner@db/countersign manage.py database_roles\n\n"
        "Roles are created without the right to sign in; make your own logins members of them, or ALTER ROLE … LOGIN. "
        "Exit status: 0 done, 2 the database refused."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        import argparse

        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                made = access.create_roles()
                access.apply_grants()
        except DatabaseError as error:
            raise CommandError(f"The database refused: {error}. Run this as the owner of the tables.", returncode=2) from error
        if made:
            self.stdout.write(f"Created {', '.join(made)} (without the right to sign in).")
        self.stdout.write(f"Granted the declared rights to {', '.join(access.ROLES)}.")
