"""Writes `data/sources.json`: what CloudTrail calls each service, and which operations each has, as botocore says.

Run `python -m approvals.operations.sources_index` after an update of botocore; a test compares the file with what this makes.
It reads every model (some seconds), which is why the file exists: a record of a service that nobody guards must not cost
the loading of that service's model.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from botocore.loaders import Loader
from botocore.model import ServiceModel

from approvals.operations import iam

# CloudTrail's name where it is not botocore's endpointPrefix. Source: CloudTrail's list of supported services, public records.
RECORDED_AS: Final = {
    "a2i-runtime.sagemaker": "sagemaker",
    "admin.wickr": "wickr",
    "agreement-marketplace": "agreement-marketplace",
    "api.detective": "detective",
    "api.ecr": "ecr",
    "api.ecr-public": "ecr-public",
    "api.iotdeviceadvisor": "iotdeviceadvisor",
    "api.iotwireless": "iotwireless",
    "api.mediatailor": "mediatailor",
    "api.pricing": "pricing",
    "api.sagemaker": "sagemaker",
    "api.tunneling.iot": "iotsecuredtunneling",
    "appstream2": "appstream",
    "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "bedrock-agentcore-control": "bedrock-agentcore",
    "bedrock-data-automation": "bedrock",
    "bedrock-data-automation-runtime": "bedrock",
    "bedrock-runtime": "bedrock",
    "catalog.marketplace": "marketplacecatalog",
    "cloudhsmv2": "cloudhsm",
    "contact-lens": "connect",
    "controlplane.payment-cryptography": "payment-cryptography",
    "data-ats.iot": "iot",
    "data.jobs.iot": "iot",
    "data.mediastore": "mediastore",
    "dataplane.payment-cryptography": "payment-cryptography",
    "email": "ses",
    "entitlement.marketplace": "aws-marketplace",
    "identity-chime": "chime",
    "ingest.timestream": "timestream",
    "ivsrealtime": "ivs",
    "mail-manager": "ses",
    "media-pipelines-chime": "chime",
    "meetings-chime": "chime",
    "memory-db": "memorydb",
    "messaging-chime": "chime",
    "metering.marketplace": "metering-marketplace",
    "models-v2-lex": "lex",
    "models.lex": "lex",
    "mq": "amazonmq",
    "oidc": "sso-oauth",
    "participant.connect": "connect",
    "pinpoint": "mobiletargeting",
    "portal.sso": "sso",
    "query.timestream": "timestream",
    "rds-data": "rdsdata",
    "runtime-v2-lex": "lex",
    "runtime.lex": "lex",
    "runtime.sagemaker": "sagemaker",
    "s3-control": "s3",
    "sms-voice.pinpoint": "sms-voice",
    "streams.dynamodb": "dynamodb",
    "voice-chime": "chime",
}
# Further names that records have been seen with, by boto3's service.
ALSO_AS: Final = {
    "application-autoscaling": ("autoscaling",),
    "autoscaling-plans": ("autoscaling",),
    "cloudfront-keyvaluestore": ("edgekeyvaluestore",),
    "iot-data": ("iotdata",),
    "meteringmarketplace": ("aws-marketplace",),
    "opensearch": ("opensearch",),
    "s3": ("s3express",),
    "s3control": ("s3express",),
    "schemas": ("eventbridge-schemas",),
    "sso-oidc": ("sso",),
    "stepfunctions": ("stepfunctions",),
}
# How boto3 calls a service's part that it counts apart.
_PARTS: Final = ("-data", "-runtime", "-events")
# Which of several services comes first where an operation fits them equally.
FIRST: Final = (
    "rds",
    "elbv2",
    "apigateway",
    "opensearch",
    "ses",
    "sesv2",
    "s3",
    "sso-admin",
    "iot",
    "lambda",
    "connect",
    "kinesisvideo",
    "kinesisanalyticsv2",
    "greengrassv2",
    "qconnect",
    "bedrock",
    "sagemaker",
    "autoscaling",
    "cloudhsmv2",
    "lexv2-models",
    "dynamodb",
    "cloudwatch",
    "events",
    "iam",
)


def made() -> dict[str, Any]:
    """`prefixes`: eventSource before `.amazonaws.com` -> services, best first. `services`: `source`, and `operations` by name.

    `same`: operations of several names that AWS cannot tell apart, since what goes over the wire is the same.
    """
    loader = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
    prefixes: dict[str, list[str]] = {}
    services: dict[str, dict[str, str]] = {}
    wires: dict[tuple[str, ...], list[str]] = {}
    available = sorted(loader.list_available_services("service-2"))
    for service in available:
        folder = Path(Loader.BUILTIN_DATA_PATH, service, loader.determine_latest_version(service, "service-2"))
        # Extras of botocore's add parameters; names of services and operations they leave alone.
        model = orjson.loads(gzip.decompress((folder / "service-2.json.gz").read_bytes()))
        endpoint = model["metadata"]["endpointPrefix"]
        source = RECORDED_AS.get(endpoint, endpoint)
        services[service] = {"source": source, "operations": " ".join(sorted(model["operations"]))}
        signing = model["metadata"].get("signingName", endpoint).lower()
        for prefix in {source, endpoint, signing, service, *ALSO_AS.get(service, ()), *_whole(service, available)}:
            prefixes.setdefault(prefix, []).append(service)
        for name in sorted(model["operations"]):
            wires.setdefault(_on_the_wire(ServiceModel(model, service_name=service), name), []).append(f"{service}:{name}")
    for prefix, found in prefixes.items():
        found.sort(key=lambda service: _rank(service, prefix, services))
    same = sorted(names for names in wires.values() if len(names) > 1)
    return {"prefixes": dict(sorted(prefixes.items())), "services": services, "same": same}


def _whole(service: str, available: Collection[str]) -> Iterator[str]:
    """Of what a service is a part that boto3 counts apart: `ds` of `ds-data`. Parts are often recorded under the whole's name."""
    for part in _PARTS:
        whole = service.removesuffix(part)
        if whole != service and whole in available:
            yield whole


def _on_the_wire(model: ServiceModel, name: str) -> tuple[str, ...]:
    """By what AWS knows a call: whose it is, the API's version, verb and path (in REST) or name, and the right that it needs.

    boto3's `rds`, `docdb` and `neptune` are one API; S3 has old and new names for the same requests.
    """
    operation = model.operation_model(name)
    rest = model.protocol.startswith("rest")
    path = re.sub(r"\{[^}]*\}", "{}", operation.http.get("requestUri", "/"))
    called = "" if rest else f"{model.metadata.get('targetPrefix', '')}.{name}"
    return (
        model.signing_name,
        model.api_version,
        operation.http["method"],
        path,
        called,
        iam.action(model.service_name, operation),
    )


def _rank(service: str, prefix: str, services: dict[str, dict[str, str]]) -> tuple[bool, int, bool, str]:
    own = services[service]["source"] != prefix
    return own, FIRST.index(service) if service in FIRST else len(FIRST), service != prefix, service


def text() -> str:
    """The file's content."""
    return json.dumps(made(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "data" / "sources.json").write_text(text(), "utf-8")
