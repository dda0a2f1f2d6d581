#!/usr/bin/env python3
"""Countersign's command line. `manage.py help` lists the commands; each has `--help` with an example."""

import os
import sys

# Commands that run no process of a deployment: they need no database, no broker and no secret (see config/tool.py).
TOOLS = frozenset({"collectstatic", "demo", "makemigrations", "help", "--help", "version", "--version"})


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.tool" if command in TOOLS else "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(
            f"Django cannot be imported ({error}). Run `make demo` or `make test` once: they make the virtual "
            "environment .venv and install what is needed. Then use .venv/bin/python manage.py."
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
