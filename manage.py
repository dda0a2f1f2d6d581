#!/usr/bin/env python3
"""Countersign's command line. `manage.py help` lists the commands; each has `--help` with an example."""

import os
import sys

# Commands that run no process of a deployment: they need no database, no broker and no secret (see config/tool.py).
TOOLS = frozenset({"collectstatic", "demo", "makemigrations", "help", "--help", "trail_explain", "version", "--version"})
# Commands that a person runs as the owner of the tables (or with a DATABASE_URL that may read them) and that need nothing else.
OWNERS = frozenset(
    {
        "audit_export",
        "audit_verify",
        "bootstrap",
        "changepassword",
        "database_roles",
        "guardrails_apply",
        "migrate",
        "mirror_rewrite",
        "requests_export",
        "showmigrations",
    }
)
# Commands that read a database where there is one, and do with less where there is none.
EITHER = frozenset({"guardrails_lint", "guardrails_replay"})
HELP = frozenset({"-h", "--help"})
ENVIRONMENT = 2


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    tool = command in TOOLS or bool(HELP & set(sys.argv))
    if command in EITHER and not tool:
        tool = not (os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_OWNER_URL"))
    if command in OWNERS | EITHER and not tool:
        os.environ.setdefault("COUNTERSIGN_PROCESS", "owner")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.tool" if tool else "config.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(
            f"Django cannot be imported ({error}). Run `make demo` or `make test` once: they make the virtual "
            "environment .venv and install what is needed. Then use .venv/bin/python manage.py."
        ) from error
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # 1 would say that the command found something; a monitor must be able to tell that from a missing variable.
        sys.stderr.write(f"{error}\n")
        sys.exit(ENVIRONMENT)


if __name__ == "__main__":
    main()
