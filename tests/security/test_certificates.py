"""The endpoint's certificate is verified, unless ``verify=False`` was said."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from neptune_airflow.errors import NeptuneMLMetricsError, NeptuneMLParameterError, NeptuneMLRequestError
from tests.security.servers import Server
from tests.security.ways import CLIENTS, SERVICES, WAYS

DAY = timedelta(days=1)


class Authority:
    """A certificate authority for one test session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A throwaway authority")])
        certificate = self._certificate(self._name, self._key, None, DAY)
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str, host: str = "127.0.0.1", ends: timedelta = DAY, self_signed: bool = False) -> Any:
        """Make the TLS side of a server that shows a certificate for a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._certificate(subject, key, host, ends, by=(subject, key) if self_signed else None)
        path = self.folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _certificate(self, subject: x509.Name, key: Any, host: str | None, ends: timedelta, by: Any = None) -> Any:
        issuer, signer = by or (self._name, self._key)
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host:
            try:
                names: Any = x509.IPAddress(ipaddress.ip_address(host))
            except ValueError:
                names = x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([names]), critical=False)
        return builder.sign(signer, hashes.SHA256())


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def _served(tls: ssl.SSLContext) -> Server:
    return Server(lambda seen: (200, {}, [b'{"id": "x", "jobId": "x", "status": "InProgress"}']), tls)


BAD: dict[str, dict[str, Any]] = {
    "wrong-host": {"host": "neptune.example"},
    "expired": {"ends": -DAY},
    "self-signed": {"self_signed": True},
}


@pytest.mark.parametrize(
    ("way", "bad"),
    [*((way, "wrong-host") for way in CLIENTS), ("describe", "expired"), ("describe-in-triggerer", "self-signed")],
)
def test_a_certificate_that_cannot_be_trusted_ends_the_request(
    authority: Authority, connect: Callable[..., None], way: str, bad: str
) -> None:
    with _served(authority.server(bad, **BAD[bad])) as server:
        connect(server.url)
        with pytest.raises(Exception, match=r"CERTIFICATE_VERIFY_FAILED|doesn't match") as error:
            WAYS[way](verify=str(authority.bundle))
        assert server.seen == []
    if way in SERVICES:
        assert type(error.value) is NeptuneMLRequestError
        assert "the CA bundle to trust" in str(error.value)


@pytest.mark.parametrize("way", CLIENTS)
def test_an_authority_is_trusted_where_it_was_given(
    authority: Authority, connect: Callable[..., None], way: str
) -> None:
    with _served(authority.server("good")) as server:
        connect(server.url)
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            WAYS[way]()
        assert server.seen == []
        _answers(way, verify=str(authority.bundle))
        assert server.seen


@pytest.mark.parametrize("way", CLIENTS)
def test_verify_false_trusts_anyone(authority: Authority, connect: Callable[..., None], way: str) -> None:
    with _served(authority.server("anyone", self_signed=True)) as server:
        connect(server.url)
        _answers(way, verify=False)
        assert server.seen


def test_a_connection_says_whom_to_trust(
    authority: Authority, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _served(authority.server("good")) as server:
        # What is empty, or looks like false, is not False.
        for extra in ({"verify": None}, {"verify": ""}, {"verify": 0}, {"verify": True}):
            connect(server.url, **extra)
            with pytest.raises(NeptuneMLRequestError, match="CERTIFICATE_VERIFY_FAILED"):
                WAYS["export-describe"]()
        assert server.seen == []
        for way in ("describe", "export-describe"):
            for extra in ({"verify": False}, {"verify": str(authority.bundle)}):
                connect(server.url, **extra)
                assert WAYS[way]().status == "InProgress"
            connect(server.url)
            for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
                with monkeypatch.context() as environment:
                    environment.setenv(name, str(authority.bundle))
                    assert WAYS[way]().status == "InProgress"
                    with pytest.raises(NeptuneMLRequestError, match="CERTIFICATE_VERIFY_FAILED"):
                        WAYS[way](verify=True)


def _answers(way: str, **arguments: Any) -> None:
    """Make a request whose answer is read: it need not make sense to CloudWatch's or S3's client."""
    with contextlib.suppress(RuntimeError, NeptuneMLMetricsError):
        WAYS[way](**arguments)


@pytest.mark.parametrize("said", ["False", "/no/such/bundle.pem"])
def test_what_is_no_bundle_is_said_at_once(connect: Callable[..., None], said: str) -> None:
    connect("https://127.0.0.1:9")
    for way in ("describe", "export-describe", "describe-in-triggerer"):
        with pytest.raises(NeptuneMLParameterError, match=f"verify='{said}' is not valid"):
            WAYS[way](verify=said)
