"""The words in which each service says that a call is denied.

Counted on public CloudTrail records: S3 quotes the ARN, RDS writes it in lower case, EFS does not name it, EC2 puts a sentence
before and an encoded message behind, and the services that answer in XML leave a resource out that could be any.
"""

import base64
import json
import re
import zlib

from executor.sandbox.recognise import Call

# `... is not authorized to perform: <action> on resource: <resource>` and the reason, if there is one.
_DENIAL = re.compile(
    r"^(?P<who>User: .+? is not authorized to perform: \S+) on resource: (?P<resource>.+?)(?P<why>(?: with| because) .+)?$"
)
_XML = frozenset({"query", "ec2", "rest-xml"})
_ALWAYS_NAMED = frozenset({"iam", "sts", "sns", "sqs"})


def worded(call: Call, message: str) -> str:
    """A denial in the words of the service. What is no denial of a resource stays as it is."""
    match = _DENIAL.match(message)
    if match is None:
        return _of_ec2(call, message) if call.protocol == "ec2" else message
    who, resource, why = match["who"], match["resource"], match["why"] or ""
    if resource == "*" and call.protocol in _XML and call.service not in _ALWAYS_NAMED:
        named = ""
    elif call.service == "s3":
        named = f' on resource: "{resource}"'
    elif call.service == "efs":
        named = " on the specified resource"
    elif call.iam_prefix == "rds":
        named = f" on resource: {resource.lower()}"
    else:
        named = f" on resource: {resource}"
    said = f"{who}{named}{'' if call.service == 'efs' else why}"
    return _of_ec2(call, said) if call.protocol == "ec2" else said


def _of_ec2(call: Call, message: str) -> str:
    """EC2's sentence. The encoded part is for `sts:DecodeAuthorizationMessage` alone, so only its look matters here."""
    told = json.dumps({"allowed": False, "action": f"ec2:{call.operation}", "said": message}).encode()
    encoded = base64.urlsafe_b64encode(zlib.compress(told)).decode().rstrip("=")
    return f"You are not authorized to perform this operation. {message}. Encoded authorization failure message: {encoded}"
