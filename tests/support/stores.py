"""Servers of object stores: S3 by moto, with access control, and Google Cloud Storage by fake-gcs-server."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import requests

from tests.support.ports import free_port, listens

FAKE_GCS = Path(sys.executable).with_name("fake-gcs-server")
_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
_numbers = itertools.count()


@dataclass(frozen=True)
class Store:
    """A running server.

    Attributes:
        protocol: Protocol of its addresses.
        variables: Environment variables that its clients need.
    """

    protocol: str
    variables: dict[str, str]

    def new_bucket(self) -> str:
        """Create a bucket; return its address."""
        name = f"bucket-{next(_numbers)}"
        if self.protocol == "s3":
            _client("s3", self.variables).create_bucket(Bucket=name)
        else:
            address = f"{self.variables['STORAGE_EMULATOR_HOST']}/storage/v1/b"
            requests.post(address, json={"name": name}, timeout=10).raise_for_status()
        return f"{self.protocol}://{name}"


@contextmanager
def s3_server() -> Iterator[Store]:
    """A server that knows one user's key and refuses all others."""
    # moto checks credentials after this number of requests: those that create the user.
    with _server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1"], INITIAL_NO_AUTH_ACTION_COUNT="3") as port:
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "root",
            "AWS_SECRET_ACCESS_KEY": "root",
        }
        iam = _client("iam", variables)
        iam.create_user(UserName="user")
        iam.put_user_policy(UserName="user", PolicyName="all", PolicyDocument=_POLICY)
        key = iam.create_access_key(UserName="user")["AccessKey"]
        variables |= {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        yield Store("s3", variables)


@contextmanager
def gcs_server() -> Iterator[Store]:
    """A server without access control; `make test-portable` builds it."""
    with _server([str(FAKE_GCS), "-scheme", "http", "-host", "127.0.0.1", "-backend", "memory"]) as port:
        yield Store("gs", {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"})


@contextmanager
def _server(command: list[str], **variables: str) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(
        [*command, "-p" if "-H" in command else "-port", str(port)],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not listens(port):
            assert process.poll() is None and time.monotonic() < deadline, f"{command} did not start"
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def _client(service: str, variables: dict[str, str]) -> "boto3.client":
    return boto3.client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
