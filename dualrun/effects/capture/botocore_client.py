"""botocore, and boto3 on top of it: objects in S3, and calls to any other service by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.contracts import EffectKind, JsonValue
from dualrun.effects.asking import Asked, ask
from dualrun.effects.capture.http_call import carried
from dualrun.effects.execution import current_execution
from dualrun.effects.guard import permitted

__all__ = ["patch"]

_READS = ("BatchGet", "Describe", "Get", "Head", "List", "Lookup", "Query", "Scan", "Select")
_S3_VERBS = {"PutObject": "PUT", "DeleteObject": "DELETE", "CopyObject": "COPY"}
_NOT_IN_PAYLOAD = frozenset({"Bucket", "Key", "Body", "ChecksumAlgorithm", "ChecksumMode"})


def patch(library: ModuleType) -> None:
    """Put the capture into `BaseClient._make_api_call`, through which every operation of every service goes."""
    library.BaseClient._make_api_call = _captured(library.BaseClient._make_api_call)  # noqa: SLF001 - the one door there is


def _captured(call: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @wraps(call)
    def captured(self: Any, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - as in botocore
        run = current_execution()
        if run is None:
            return call(self, operation_name, api_params)
        with permitted(), carried():
            if operation_name.startswith(_READS):
                return call(self, operation_name, api_params)
            service = str(self.meta.service_model.service_name)
            kind = EffectKind.OBJECT if service == "s3" else service
            asked = ask(run, kind, _key(service, operation_name, api_params), _payload(api_params), reads=False)
            if not asked.perform:
                return _answer(asked, api_params)
            try:
                answer = call(self, operation_name, api_params)
            except Exception as exc:
                asked.note.failed(type(exc).__name__)
                raise
            asked.note.answered({name: value for name, value in answer.items() if isinstance(value, str | int | bool)})
            return answer

    return captured


def _key(service: str, operation: str, parameters: Mapping[str, Any]) -> str:
    """`PUT s3://bucket/key` for an object, `SendMessage sqs` for anything else."""
    if service != "s3":
        return f"{operation} {service}"
    return f"{_S3_VERBS.get(operation, operation)} s3://{parameters.get('Bucket', '')}/{parameters.get('Key', '')}".rstrip("/")


def _payload(parameters: Mapping[str, Any]) -> Mapping[str, JsonValue] | None:
    payload = {name: value for name, value in parameters.items() if name not in _NOT_IN_PAYLOAD}
    if "Body" in parameters:
        payload["Body"] = _body(parameters["Body"])
    return payload or None


def _body(body: Any) -> JsonValue:  # noqa: ANN401 - bytes, or anything that reads
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, bytes | bytearray | memoryview):
        return {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    if not (hasattr(body, "seek") and hasattr(body, "tell")):
        return {"stream": True}
    start, digest, size = body.tell(), hashlib.sha256(), 0
    while chunk := body.read(1 << 20):
        chunk = chunk.encode() if isinstance(chunk, str) else chunk
        digest.update(chunk)
        size += len(chunk)
    body.seek(start)
    return {"sha256": digest.hexdigest(), "bytes": size}


def _answer(asked: Asked, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The authority's answer, or that of a service that took everything."""
    metadata = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0, "RequestId": "dualrun-shadow"}
    if isinstance(asked.answer, dict):
        return {**asked.answer, "ResponseMetadata": metadata}
    answer: dict[str, Any] = {"ResponseMetadata": metadata, "MessageId": "dualrun-shadow"}
    if "Body" in parameters:
        answer["ETag"] = '"dualrun-shadow"'
    if "UploadId" not in parameters:
        answer["UploadId"] = "dualrun-shadow"
    return answer
