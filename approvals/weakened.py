"""A control that somebody took away: what the database forbids, and holds all the same, is an alert.

No decision asks whether a login is a superuser, so the flag gives nothing here. That somebody set it says that he owned the
database and meant it to.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import connection

from approvals import audit
from approvals.alerts import raise_once
from approvals.models import AlertKind
from approvals.operations import words

CONSTRAINT = "user_is_never_superuser"


def look(*, actor: str) -> int:
    """Raise an alert for each superuser there is, and one when nothing forbids them any more; return how many are new."""
    found = [
        f"The login {words.visible(name)} is a superuser"
        for name in get_user_model().objects.filter(is_superuser=True).order_by("pk").values_list("username", flat=True)[:20]
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = %s AND convalidated)", [CONSTRAINT])
        if cursor.fetchone() != (True,):
            found.append("Nothing in the database forbids superusers any more")
    if not found:
        return 0
    with audit.recorded() as trail:
        return sum(raise_once(trail, AlertKind.WEAKENED, title=title, detail=_WHAT_TO_DO, actor=actor) for title in found)


_WHAT_TO_DO = (
    f"The constraint {CONSTRAINT} forbids it, so somebody with the rights of the tables' owner took it away. The flag gives no "
    "right to decide anything here. Take it back, put the constraint in again, and find out who holds the owner's password: he "
    "could have changed more."
)
