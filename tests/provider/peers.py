"""Peers of a connection, as they may be met: certificates of any kind, proxies, and servers that do not behave."""

from __future__ import annotations

import ipaddress
import json
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

RUNNING = b'{"id": "x", "status": "InProgress"}'


def http(body: bytes = RUNNING, status: str = "200 OK", **headers: str) -> bytes:
    """Give an HTTP answer, byte for byte."""
    given = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
    lines = {**given, **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in lines.items() if value)]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def refusal(status: int, code: str, text: str, **headers: str) -> bytes:
    """Give a refusal as Neptune words it."""
    body = {"code": code, "detailedMessage": text, "requestId": "r-1"}
    return http(json.dumps(body).encode(), f"{status} x", **headers)


class Authority:
    """A certificate authority for one test.

    :param folder: where its files go; ``bundle`` is its own certificate.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a throwaway authority")])
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None), [])
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str, days: int = 1) -> ssl.SSLContext:
        """Make the context of a server that shows a certificate for these names and addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue(*names, days=days))
        return context

    def asking(self, *names: str) -> ssl.SSLContext:
        """Make the context of a server that also wants a certificate of this authority's."""
        context = self.server(*names)
        context.load_verify_locations(self.bundle)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def issue(self, *names: str, days: int = 1) -> Path:
        """Issue a certificate; its file holds its key too.

        :param days: until it expires; less than 0 for one that has.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(subject, key, x509.BasicConstraints(ca=False, path_length=None), list(names), days)
        file = self.folder / f"{abs(hash((names, days)))}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return file

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        names: list[str],
        days: int = 1,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(constraints, critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        return builder.sign(self._key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Peer:
    """A server on a free port of a loopback address; each connection is handled in a thread.

    :param answer: gives the bytes that answer a request, of its head; none at all hangs up.
    :param tls: the context to speak TLS by.
    :param host: the address to listen at.
    """

    def __init__(
        self, answer: Callable[[str], bytes | None], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.connections = 0
        self._tls = tls
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        name = f"[{host}]" if ":" in host else host
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{name}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _hang_up(self._listener)
        self.hang_up()

    def hang_up(self) -> None:
        """Close every connection, as a server does with those that are idle."""
        for each in self._open:
            _hang_up(each)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while head := _head(connection):
                self.heads.append(head)
                if not self.handle(connection, head):
                    break
        except OSError:
            pass
        finally:
            _hang_up(connection)

    def handle(self, connection: socket.socket, head: str) -> bool:
        """Answer one request; False ends the connection."""
        answer = self.answer(head)
        if answer:
            connection.sendall(answer)
        return answer is not None


class Proxy(Peer):
    """A proxy that passes on, whole requests and tunnels; ``heads`` is what it was asked for."""

    def __init__(self) -> None:
        super().__init__(lambda _: b"")

    def handle(self, connection: socket.socket, head: str) -> bool:
        method, target, _ = head.split(" ", 2)
        tunnel = method == "CONNECT"
        place = target if tunnel else target.split("/")[2]
        host, _, port = place.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as onward:
            self._open.append(onward)
            if tunnel:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                onward.sendall(head.replace(f"http://{place}", "", 1).encode())
            _pump(connection, onward)
        return False


def _pump(one: socket.socket, other: socket.socket) -> None:
    across = {one: other, other: one}
    while True:
        try:
            ready, _, _ = select.select(list(across), [], [], 30)
        except ValueError:  # one of them was hung up meanwhile
            return
        for each in ready:
            if not (data := each.recv(65536)):
                return
            across[each].sendall(data)


def _head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        if not (more := connection.recv(65536)):
            return ""
        head += more
    return head.decode()


def _hang_up(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
