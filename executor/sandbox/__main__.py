"""`python -m executor.sandbox --port 4566`: the local AWS as a process of its own, until SIGTERM or Ctrl-C."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from executor.sandbox.deliver import Faults
from executor.sandbox.seed import Keys
from executor.sandbox.server import LocalAws
from executor.sandbox.world import DEMO, read_facts


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is told to stop; 0 after a clean stop, 2 for wrong arguments or an unusable file."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        facts = DEMO if options.seed == "demo" else read_facts(Path(options.seed))
        keys = _read_keys(options.keys_file)
    except (OSError, ValueError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    faults = Faults(options.delay, options.duplicate, options.drop, options.fault_seed)
    place = {"host": options.host, "port": options.port}
    aws = LocalAws(facts, keys=keys, **place, faults=faults, settle_seconds=options.settle, log_every=options.log_files)
    with aws:
        if options.keys_file and aws.keys != keys:
            _write_keys(options.keys_file, aws.keys)
        print(f"local AWS ready at {aws.endpoint_url} (account {facts.account}, {facts.region}; state is in memory)", flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m executor.sandbox",
        description="A local AWS for the demo and the tests: moto behind a recorder that checks signatures and IAM policies "
        "and delivers CloudTrail events through EventBridge.",
        epilog="example: python -m executor.sandbox --port 4566 --keys-file keys.json",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 takes a free one")
    parser.add_argument("--seed", default="demo", metavar="FILE|demo", help="the world to begin with (default %(default)s)")
    parser.add_argument("--keys-file", type=Path, help="access keys by user name: read if it exists, else written")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="deliver events this much later")
    parser.add_argument("--duplicate", type=float, default=0.0, metavar="RATE", help="share of events delivered twice")
    parser.add_argument("--drop", type=float, default=0.0, metavar="RATE", help="share of events never delivered")
    parser.add_argument("--fault-seed", type=int, default=0, metavar="N", help="makes the same faults happen again")
    parser.add_argument("--settle", type=float, default=1.0, metavar="SECONDS", help="how long a deleted table is DELETING")
    parser.add_argument("--log-files", type=float, default=20.0, metavar="SECONDS", help="how often CloudTrail writes log files")
    parser.add_argument("--log-level", default="WARNING", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser


def _read_keys(path: Path | None) -> Keys:
    """Keys from a file, or none where there is no file yet. Raises ValueError for a file of another form."""
    if path is None or not path.exists():
        return {}
    keys = json.loads(path.read_text())
    if not isinstance(keys, dict) or not all(
        isinstance(key, dict) and {"access_key_id", "secret_access_key"} <= key.keys() for key in keys.values()
    ):
        raise ValueError(f"{path}: user names with access_key_id and secret_access_key are expected")
    return keys


def _write_keys(path: Path, keys: Keys) -> None:
    """Writes the file for its owner alone; it is complete or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(keys, file, indent=2)
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
