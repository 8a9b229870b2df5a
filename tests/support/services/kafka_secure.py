"""A Kafka broker that wants to know who we are: TLS with a certificate of its own, and a user's password."""

import datetime as dt
import ipaddress
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.services.kafka import Kafka
from tests.support.services.service import free_port

USER = "care"

_PROPERTIES = """sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
"""


class SecureKafka(Kafka):
    """A broker with a ``SASL_SSL`` listener beside the plain one.

    Attributes:
        password: Of :data:`USER`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.password = secrets.token_urlsafe(24)
        self._secure_port = free_port()

    @property
    def secure_servers(self) -> str:
        """Where a client connects that shows who it is."""
        return f"127.0.0.1:{self._secure_port}"

    @property
    def ca_file(self) -> Path:
        """Who signed the broker's certificate: itself."""
        return self.folder / "ca.pem"

    def listeners(self) -> dict[str, int]:
        """See :meth:`Kafka.listeners`."""
        return {**super().listeners(), "SASL_SSL": self._secure_port}

    def more_properties(self) -> str:
        """See :meth:`Kafka.more_properties`."""
        key, certificate = _self_signed()
        self.ca_file.write_bytes(certificate)
        (self.folder / "broker.pem").write_bytes(key + certificate)
        return _PROPERTIES.format(user=USER, password=self.password, folder=self.folder)

    def format_arguments(self) -> list[str]:
        """See :meth:`Kafka.format_arguments`: SCRAM's passwords are part of the storage."""
        return ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={self.password}]"]


def _self_signed() -> tuple[bytes, bytes]:
    """Return a key and its certificate for loopback, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka")])
    now = dt.datetime.now(dt.UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(loopback, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, form, serialization.NoEncryption()), certificate.public_bytes(pem)
