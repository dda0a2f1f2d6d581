"""Settings for what is no process of a deployment: type checker, `makemigrations`, `collectstatic`, the demo's launcher.

They need the settings to be importable, and neither a database nor a secret. Whatever the environment does say is used.
"""

import os

os.environ.setdefault("COUNTERSIGN_PROCESS", "tool")

from config.settings import *  # noqa: F403
