"""`manage.py mirror_rewrite`: promise to write every request to its DynamoDB mirror again."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, transaction

from approvals import outbox
from approvals.models import ApprovalRequest, OutboxKind


class Command(BaseCommand):
    """For a mirror that was lost or made anew: the delivery worker writes the rows, none over a newer one."""

    help = (
        "Promise to write the mirror's row of every approval request again. The delivery worker keeps the promises; a row that "
        "the mirror holds in the same or a newer version stays.\n\n"
        "Example: manage.py mirror_rewrite\n\n"
        "Exit status: 0 promised, 2 the database refused."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        try:
            with transaction.atomic():
                for pk in ApprovalRequest.objects.order_by("created_at").values_list("pk", flat=True).iterator(chunk_size=2000):
                    outbox.put(OutboxKind.MIRROR, pk)
                    count += 1
        except DatabaseError as error:
            raise CommandError(f"The database refused: {error}", returncode=2) from error
        self.stdout.write(f"{count} requests will be written to the mirror.")
