"""Vendors' messages, encoded from the published .proto files by protoc: the hub's own encoders are not used."""
import functools
import importlib
import json
import subprocess
import sys
import tempfile

from . import paths


@functools.lru_cache(maxsize=None)
def generated_folder():
    folder = tempfile.mkdtemp(prefix="cityhub-proto-")
    files = sorted(str(path) for path in (paths.ROOT / "proto").glob("*.proto"))
    subprocess.run(["protoc", f"--proto_path={paths.ROOT / 'proto'}", f"--python_out={folder}", *files], check=True)
    sys.path.insert(0, folder)
    return folder


def module(name):
    """The Python module of proto/<name>.proto, e.g. module("dust").DustBatch."""
    generated_folder()
    return importlib.import_module(f"{name}_pb2")


def camel(key):
    return "".join(word.capitalize() for word in key.split("_"))


def batch_type(subsystem, kind="telemetry"):
    if kind == "telemetry":
        return getattr(module(subsystem), f"{camel(subsystem)}Batch")
    return getattr(module("common"), f"{camel(kind)}Batch")


def _fill(message, values):
    for key, value in values.items():
        field = message.DESCRIPTOR.fields_by_name[key]
        if field.label == field.LABEL_REPEATED and field.message_type is None:
            getattr(message, key).extend(value)
        elif field.label == field.LABEL_REPEATED:
            for one in value:
                _fill(getattr(message, key).add(), one)
        elif field.message_type is not None:
            getattr(message, key).SetInParent()
            _fill(getattr(message, key), value)
        elif field.enum_type is not None and isinstance(value, str):
            setattr(message, key, field.enum_type.values_by_name[value].number)
        else:
            setattr(message, key, value)


def protobuf(subsystem, records, kind="telemetry"):
    """The bytes of a batch of records, each a dict of the .proto's field names."""
    batch = batch_type(subsystem, kind)()
    for record in records:
        _fill(batch.records.add(), record)
    return batch.SerializeToString()


def json_bytes(records):
    return json.dumps(records, ensure_ascii=False).encode()
