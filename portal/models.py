"""The portal's user: a login, never a voter. Who votes is the Person that the login belongs to (`approvals.models.Login`)."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Somebody who can sign in. There is no superuser: a constraint in the database forbids the flag."""

    class Meta(AbstractUser.Meta):
        constraints = (models.CheckConstraint(condition=models.Q(is_superuser=False), name="user_is_never_superuser"),)
