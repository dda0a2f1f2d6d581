"""The local AWS as a server: one threaded HTTP server, its state in memory, started and stopped by its owner."""

import os
import threading
import time
from datetime import UTC, datetime
from functools import cache, partial
from types import TracebackType
from typing import Any

# moto reads these when it is imported. Its own IAM would check `*` only; CORS headers are for browsers.
os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "true")
os.environ.setdefault("MOTO_ALLOW_NONEXISTENT_REGION", "false")
# A thousand public images, which nobody here starts an instance from, take longer to make than all the rest.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

import moto.core.responses
import moto.kms.models
import moto.kms.utils
import moto.sns.models
import moto.sqs.models
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.core.base_backend import BackendDict
from moto.core.utils import method_names_from_class
from moto.kms.utils import AbstractPrivateKey
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from executor.sandbox import one_judge, table_ids, unwrap
from executor.sandbox.deliver import Faults
from executor.sandbox.record import Record
from executor.sandbox.recorder import Recorder
from executor.sandbox.seed import Keys, seed
from executor.sandbox.world import DEMO, DemoWorldFacts


def _milliseconds(dt: datetime | None = None) -> float:
    return (dt.replace(tzinfo=UTC).timestamp() if dt else time.time()) * 1000


# moto asks the time twice for each message of a queue at each call, through five datetimes each time: with a thousand
# messages that is nearly all that it does. This is the same number, straight from the clock.
moto.sqs.models.unix_time_millis = _milliseconds  # type: ignore[attr-defined]
_drawn_once = cache(moto.kms.utils.generate_private_key)


def _private_key(key_spec: str) -> AbstractPrivateKey:
    return _drawn_once(key_spec) if key_spec == "SYMMETRIC_DEFAULT" else moto.kms.utils.generate_private_key(key_spec)


# moto draws an RSA key for a symmetric key too and never uses it: half of what the start costs. One is enough for all of them.
moto.kms.models.generate_private_key = _private_key  # type: ignore[attr-defined]

_signs = cache(partial(rsa.generate_private_key, public_exponent=65537, key_size=2048))


def _signing_key(subscription: moto.sns.models.Subscription) -> Any:
    return _signs()


# And one for each subscription, which it signs the notifications by: SNS has one for a region.
moto.sns.models.Subscription.private_key = _signing_key  # type: ignore[assignment]

# moto lists the methods of a service's class at each request, with `inspect`.
moto.core.responses.method_names_from_class = cache(method_names_from_class)  # type: ignore[attr-defined]
# moto's applications hold nothing of AWS's state, only the routes of a service; these are worked out once in a process.
_application = cache(create_backend_app)

# Seconds between two looks whether it shall end: what every stop waits for, and each of hundreds of tests has one.
_LOOKS_UP = 0.01
# Built beforehand, so that no client waits for moto's imports.
_WARM = ("dynamodb", "events", "iam", "s3", "sns", "sqs", "sts")


class _QuietHandler(MotoRequestHandler):
    """Requests are recorded, not logged a second time."""

    # The last small packet of an answer would otherwise wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    server_version = "AWS"
    sys_version = ""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class LocalAws:
    """A local AWS for tests and the demo. One at a time in a process: moto's state is global, and start() clears it.

    `keys` are access keys by user name (`{"alice": {"access_key_id": ..., "secret_access_key": ...}}`); users without
    one get a new one, see `self.keys`. `port` 0 takes a free one.
    """

    def __init__(
        self,
        facts: DemoWorldFacts = DEMO,
        *,
        keys: Keys | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        settle_seconds: float = 0.3,
        log_every: float = 0.0,
    ) -> None:
        self.facts = facts
        self.keys: Keys = dict(keys or {})
        self._address = (host, port)
        self._faults = faults or Faults()
        self._settle_seconds = settle_seconds
        self._log_every = log_every
        self._server: BaseWSGIServer | None = None
        self._recorder: Recorder | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> "LocalAws":
        """Clears moto's state, seeds it with the facts and serves. Raises OSError when the port is taken."""
        BackendDict.reset()
        unwrap.install()
        table_ids.install()
        one_judge.install()
        self.keys = seed(self.facts, self.keys)
        moto = DomainDispatcherApplication(_application)
        for service in _WARM:
            moto.app_instances[service] = _application(service)
        # Straight to a service's application where it is known: the dispatcher lists a directory for every request.
        self._recorder = Recorder(
            lambda service: moto.app_instances.get(service, moto), self._faults, self._settle_seconds, self.facts, self._log_every
        )
        self._recorder.start()
        host, port = self._address
        self._server = make_server(host, port, self._recorder, threaded=True, request_handler=_QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_LOOKS_UP,), name="sandbox", daemon=True)
        self._thread.start()
        return self

    def settle_in(self, seconds: float) -> None:
        """What AWS is done with later takes this long from now on."""
        if self._recorder:
            self._recorder.settling.seconds = seconds

    def settled(self) -> None:
        """Whatever AWS is not done with yet, it is done with now."""
        if self._recorder:
            self._recorder.settling.end()

    def stop(self) -> None:
        """Ends the server; long polls return at once."""
        if self._recorder:
            self._recorder.stop()
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> "LocalAws":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """`http://host:port`, for `endpoint_url=` and AWS_ENDPOINT_URL."""
        if self._server is None:
            raise RuntimeError("the local AWS is not running: call start() first")
        return f"http://{self._address[0]}:{self._server.port}"

    def records(self) -> list[Record]:
        """CloudTrail records of all management events so far, oldest first."""
        return self._recorder.records() if self._recorder else []

    def wait_until_delivered(self) -> None:
        """Returns when EventBridge has delivered every record so far: what a queue does not hold then will not come."""
        if self._recorder:
            self._recorder.wait_until_delivered()

    def write_log_files(self) -> list[str]:
        """CloudTrail's log files of what has happened since the last ones; their keys in the trail's bucket."""
        return self._recorder.trail.write() if self._recorder else []

    def credentials(self, user: str) -> dict[str, Any]:
        """Keyword arguments for a boto3 session or client that acts as an IAM user."""
        key = self.keys[user]
        return {
            "aws_access_key_id": key["access_key_id"],
            "aws_secret_access_key": key["secret_access_key"],
            "region_name": self.facts.region,
        }
