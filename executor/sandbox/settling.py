"""What AWS answers at once and is done with later: deleted DynamoDB tables that are still there, backups that are being made.

moto removes a table within the call. For a moment afterwards the sandbox describes it as DELETING and refuses to create
or change a table of that name, as AWS does. A backup is CREATING for as long, and cannot be used.
"""

import json
import time
import uuid
from typing import Any

from executor.sandbox.identity import Caller
from executor.sandbox.models import service_model
from executor.sandbox.recognise import Call
from executor.sandbox.refuse import Refusal, refused
from executor.sandbox.wire import HttpResponse

_BLOCKED = frozenset({"CreateTable", "DeleteTable", "UpdateTable"})

Key = tuple[str, str, str]


class Settling:
    """The tables whose deletion is not over, for `seconds` after DeleteTable, and the backups that are not done."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deleting: dict[Key, tuple[float, dict[str, Any]]] = {}
        self._making: dict[str, float] = {}

    def end(self) -> None:
        """Everything is done."""
        self._deleting.clear()
        self._making.clear()

    def begun(self, call: Call, caller: Caller, response: HttpResponse) -> HttpResponse:
        """moto's answer to a successful call, with the status that AWS gives; what is not done yet is remembered."""
        if self.seconds <= 0 or call.service != "dynamodb" or response.status != 200:
            return response
        if call.operation == "DeleteTable":
            return self._deleted(call, caller, response)
        if call.operation in ("CreateBackup", "DescribeBackup"):
            return self._being_made(call, response)
        return response

    def _being_made(self, call: Call, response: HttpResponse) -> HttpResponse:
        found = json.loads(response.body)
        details = found.get("BackupDescription", found)["BackupDetails"]
        if call.operation == "CreateBackup":
            self._making[details["BackupArn"]] = time.monotonic() + self.seconds
        if time.monotonic() >= self._making.get(details["BackupArn"], 0.0):
            return response
        details["BackupStatus"] = "CREATING"
        return HttpResponse(response.status, response.headers, json.dumps(found).encode())

    def _deleted(self, call: Call, caller: Caller, response: HttpResponse) -> HttpResponse:
        description = json.loads(response.body)["TableDescription"] | {"TableStatus": "DELETING"}
        self._deleting[_key(call, caller)] = (time.monotonic() + self.seconds, description)
        body = json.dumps({"TableDescription": description}).encode()
        return HttpResponse(response.status, response.headers, body)

    def answer(self, call: Call, caller: Caller) -> HttpResponse | None:
        """What AWS says of a table that is being deleted, or None when moto shall answer."""
        if call.service != "dynamodb" or not self._deleting:
            return None
        until, description = self._deleting.get(_key(call, caller), (0.0, {}))
        if time.monotonic() >= until:
            self._deleting.pop(_key(call, caller), None)
            return None
        if call.operation == "DescribeTable":
            body = json.dumps({"Table": description}).encode()
            return HttpResponse(200, {"content-type": "application/x-amz-json-1.0"}, body)
        if call.operation in _BLOCKED:
            message = f"Attempt to change a resource which is still in use: Table is being deleted: {description['TableName']}"
            return refused(Refusal("in use", message), "json", service_model("dynamodb"), str(uuid.uuid4()))
        return None


def _key(call: Call, caller: Caller) -> Key:
    """Account, region and name of the table, which a call may also give as an ARN."""
    return caller.account, call.region, str(call.parameters.get("TableName", "")).rpartition("/")[2]
