"""What the demo consists of once it is up, and what each of its processes may know.

A process gets its own environment and nothing of the person's shell: the web process knows no AWS variable, each worker
has the keys of its own IAM user and its own database role, and only the steps of the owner know the owner's URL.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from executor.demo import sealing_pair, servers
from executor.demo.people import KEYS_FILE
from executor.demo.state import StateFolder
from executor.sandbox.world import DEMO

PROJECT = Path(__file__).resolve().parents[2]
# What every program needs of the machine it runs on; nothing that could carry a credential.
_FROM_SHELL = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class AccessKey:
    """An IAM user's access key at the local AWS."""

    access_key_id: str
    secret_access_key: str

    def environ(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}


@dataclass(frozen=True)
class DemoWorld:
    """A running demo, as the story and the person at the terminal see it.

    `keys` holds the access keys of every IAM user by name (alice, bob, carol, mallory and our own). `authenticators` is
    the file with the people's private keys (see executor.demo.people). `role_urls` are the database URLs of web, feed,
    delivery and execution. `owner_environ` is the environment to run a manage.py command as the owner in `project`,
    `execution_environ` that of the execution process, which alone reads the claims outside the database.
    """

    web_url: str
    aws_endpoint: str
    account: str
    region: str
    inbox_url: str
    state: Path
    authenticators: Path
    keys: Mapping[str, AccessKey]
    owner_url: str
    role_urls: Mapping[str, str]
    redis_url: str
    owner_environ: Mapping[str, str]
    execution_environ: Mapping[str, str]
    project: Path = PROJECT
    python: str = sys.executable


@dataclass(frozen=True)
class Environments:
    """Makes the environment of each process. `genesis` is known once the manifest is sealed."""

    state: StateFolder
    found: servers.Servers
    web_url: str
    aws_endpoint: str
    genesis: str = ""
    verbose: bool = False

    def base(self) -> dict[str, str]:
        """Enough to run a program: no credentials, and a home folder in which boto3 finds none."""
        return {name: os.environ[name] for name in _FROM_SHELL if name in os.environ} | {
            "HOME": str(self.state.folder("home")),
            "PYTHONUNBUFFERED": "1",
            # Celery warns of root because of pickle, which is switched off.
            "PYTHONWARNINGS": "ignore:::celery.platforms",
        }

    def _countersign(self, process: str) -> dict[str, str]:
        return self.base() | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "COUNTERSIGN_PROCESS": process,
            "COUNTERSIGN_DEMO": "1",
            "COUNTERSIGN_ORIGIN": self.web_url,
            "COUNTERSIGN_HOME_REGION": DEMO.region,
            "COUNTERSIGN_LOG_LEVEL": "DEBUG" if self.verbose else "INFO",
        }

    def owner(self) -> dict[str, str]:
        """For migrate, database_roles, bootstrap and the commands of an operator."""
        return self._countersign("owner") | {
            "COUNTERSIGN_SECRET_KEY": self.state.secret("secret key"),
            "DATABASE_OWNER_URL": self.found.owner_url,
            "COUNTERSIGN_GENESIS": self.genesis,
        }

    def web(self) -> dict[str, str]:
        return self._countersign("web") | {
            "COUNTERSIGN_SECRET_KEY": self.state.secret("secret key"),
            "DATABASE_URL": servers.role_url(self.found, "web"),
            "REDIS_URL": self.found.web_redis_url,
            "COUNTERSIGN_DEMO_KEYS": str(self.state.path / KEYS_FILE),
            "COUNTERSIGN_GENESIS": self.genesis,
            **sealing_pair.sealing(self.state.path),
        }

    def worker(self, process: str, key: AccessKey | None) -> dict[str, str]:
        """For feed, delivery and execution, with the keys of the IAM user of that process; authority has none."""
        special = {
            "feed": {"COUNTERSIGN_QUEUE_URL": DEMO.queue_url(self.aws_endpoint)},
            "delivery": {
                "COUNTERSIGN_TOPIC_ARN": DEMO.topic_arn,
                "COUNTERSIGN_MIRROR_TABLE": DEMO.mirror_table,
            },
            "execution": {
                "COUNTERSIGN_GENESIS": self.genesis,
                "COUNTERSIGN_CLAIMS_BUCKET": DEMO.claims_bucket,
                "COUNTERSIGN_CLAIMS_DAYS": str(DEMO.claims_days),
                **sealing_pair.opening(self.state.path),
            },
            "authority": {"COUNTERSIGN_GENESIS": self.genesis},
        }
        return (
            self._countersign(process)
            | {"DATABASE_URL": servers.role_url(self.found, process), "REDIS_URL": self.found.redis_url}
            | (self.aws(key) if key else {})
            | special[process]
        )

    def beat(self) -> dict[str, str]:
        return self._countersign("beat") | {"REDIS_URL": self.found.redis_url}

    def aws(self, key: AccessKey) -> dict[str, str]:
        """What boto3 and the AWS CLI read to reach the local AWS, and nothing else, with this key."""
        return {
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_DEFAULT_REGION": DEMO.region,
            "AWS_REGION": DEMO.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        } | key.environ()
