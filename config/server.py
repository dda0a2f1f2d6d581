"""gunicorn's settings: `gunicorn --config python:config.server config.wsgi`."""

import os

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

bind = ["127.0.0.1:8000"]
# Threads share one process: the pages wait for the database, and sign-in's rate limits live in the process's memory.
worker_class = "gthread"
workers = 1
threads = 8
timeout = 30
graceful_timeout = 3
# gunicorn 27 opens a control socket by default; nobody here has use for one.
control_socket_disable = True
# The request line is logged by config.middleware, with the request's id and without its query string.
accesslog = None
logconfig_dict = settings.LOGGING
# gunicorn believes no peer: SCRIPT_NAME and PATH_INFO sent as headers would give any request another path than the one that the
# proxy saw. Whether a proxy's X-Forwarded-Proto is believed is decided in one place, Django's settings.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
