"""Running PostgreSQL where the demo is root: PostgreSQL refuses to be, so it runs as an unprivileged account.

No account is created and no permission of the checkout is widened. Where that account cannot reach the checkout (below
a home folder that only root may enter), the program and its data go to a folder of root's that it can reach.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from executor.demo.errors import ServerUnavailable

# Tried in this order; every Linux distribution has the second.
CANDIDATES = ("postgres", "nobody")
# Only root may write in its parent, so nobody else can put a folder of this name there first.
REFUGE = Path("/var/lib/countersign-demo")


@dataclass(frozen=True)
class Account:
    """A system account to run a program as."""

    name: str
    uid: int
    gid: int

    @property
    def ids(self) -> tuple[int, int]:
        return (self.uid, self.gid)

    def can(self, test: str, path: Path) -> bool:
        """Whether this account passes the shell's `test` (`-x`, `-w`, ...) on the path, asked as that account."""
        try:
            asked = subprocess.run(
                ["/bin/sh", "-c", 'test "$1" "$2"', "sh", test, str(path)],
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ServerUnavailable(
                f"PostgreSQL does not run as root, and this process may not become the account {self.name} ({error}). "
                "Run the demo as a normal user, or set DATABASE_URL to a PostgreSQL server."
            ) from error
        return asked.returncode == 0


def unprivileged() -> Account | None:
    """The account PostgreSQL shall run as: None when we are not root and it can run as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServerUnavailable(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(CANDIDATES)} exists here. "
        "Run the demo as a normal user, or set DATABASE_URL to a PostgreSQL server."
    )


def refuge_path(state: Path) -> Path:
    """Where `refuge` would be for this state folder, made or not."""
    return REFUGE / hashlib.sha256(str(state).encode()).hexdigest()[:12]


def refuge(state: Path) -> Path:
    """A folder of root's for what the account must reach on behalf of the state folder at `state`."""
    path = refuge_path(state)
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise ServerUnavailable(
            f"PostgreSQL runs as another account than root, which can enter neither {state} nor a folder at {path} "
            f"({error.strerror}). Clone the project to a folder that everybody may enter, or set DATABASE_URL."
        ) from error
    return path


def remove_refuge(state: Path) -> None:
    """Remove what `refuge` made for this state folder, if anything."""
    shutil.rmtree(refuge_path(state), ignore_errors=True)
