"""A server that answers over TLS only, with an authority of its own."""

import contextlib
import datetime as dt
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.postgres.cluster import fresh_cluster
from tests.postgres.home import home
from tests.postgres.programs import Programs, give
from tests.postgres.server import Server

_LIFETIME = dt.timedelta(days=1)


@dataclass(frozen=True)
class TlsServer:
    """The server, the file of the authority that signed its certificate for 127.0.0.1, and that of a strange one."""

    server: Server
    authority: Path
    stranger: Path


@contextlib.contextmanager
def tls_server(programs: Programs) -> Iterator[TlsServer]:
    """A server on its own that refuses connections without TLS; `programs` must have TLS (`debian_programs`)."""
    folder = home().folder("tls")
    signer = ec.generate_private_key(ec.SECP256R1())
    authority, stranger = folder / "authority.pem", folder / "stranger.pem"
    authority.write_bytes(pem(certificate(signer, signer)))
    other = ec.generate_private_key(ec.SECP256R1())
    stranger.write_bytes(pem(certificate(other, other)))
    key = ec.generate_private_key(ec.SECP256R1())
    files = {
        "ssl_cert_file": pem(certificate(key, signer)),
        "ssl_key_file": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "hba_file": b"hostssl all all 127.0.0.1/32 scram-sha-256\n",
    }
    for name, content in files.items():
        # A key that others may read is refused.
        (folder / name).touch(mode=0o600)
        give(folder / name).write_bytes(content)
    settings = {"ssl": "on", **{name: str(folder / name) for name in files}}
    with fresh_cluster(((),), settings=settings, programs=programs) as cluster:
        yield TlsServer(cluster.shards[0].primary, authority, stranger)


def certificate(key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate for 127.0.0.1, or that of the authority itself where the key signs itself."""
    own = key is signer
    now = dt.datetime.now(dt.UTC)
    authority = _name("authority of a test")
    builder = (
        x509.CertificateBuilder()
        .subject_name(authority if own else _name("server of a test"))
        .issuer_name(authority)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFETIME)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
    )
    if not own:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def pem(signed: x509.Certificate) -> bytes:
    """A certificate as a file holds it."""
    return signed.public_bytes(serialization.Encoding.PEM)
