"""A real Kafka broker: one JVM, broker and controller in one (KRaft)."""

import logging
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from tests.support.services.cache import cached_folder
from tests.support.services.packages import require_program, run_to_install
from tests.support.services.service import Service, ServiceError, accepts_connections, free_port

VERSION = "3.9.1"
_POM = Path(__file__).parent / "builds" / "kafka" / "pom.xml"

_LOGGING = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c{1} %m%n
"""

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs={folder}/data
num.partitions=3
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=true
num.network.threads=1
num.io.threads=2
"""


def install() -> Path:
    """Return the folder of the broker's jars, fetching them (about 50 MB) when they are not cached."""
    require_program("java", package="default-jre-headless")
    return cached_folder(f"kafka-{VERSION}", _fetch)


def _fetch(folder: Path) -> None:
    maven = require_program("mvn", package="maven")
    # Maven writes next to the project file it reads.
    pom = str(shutil.copy(_POM, folder))
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    run_to_install([maven, "-q", "-B", "-f", pom, *goal], what=f"Kafka {VERSION}", cwd=folder)


class Kafka(Service):
    """One broker on loopback; topics are made on first use, with three partitions."""

    name = "kafka"
    # The broker's own shutdown moves partitions first, which takes as long as it likes with one broker.
    stop_timeout_s: ClassVar[float] = 20.0

    def __init__(self) -> None:
        super().__init__()
        self._controller_port = free_port()

    @property
    def bootstrap_servers(self) -> str:
        """Where a client connects, as ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def listeners(self) -> dict[str, int]:
        """Return the ports for clients, by security protocol."""
        return {"PLAINTEXT": self.port}

    def more_properties(self) -> str:
        """Return further lines of the configuration."""
        return ""

    def format_arguments(self) -> list[str]:
        """Return further words of the command that formats the storage."""
        return []

    def create_topic(self, name: str, *, partitions: int = 3) -> None:
        """Make a topic and return when it is there."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})
        finally:
            admin.close()

    def clear(self) -> None:
        """Delete all topics: consumers by pattern ask for every one of them, again and again."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            # One that was deleted a moment ago may still be listed.
            admin.delete_topics([name for name in admin.list_topics() if name[:2] != "__"], raise_errors=False)
        finally:
            admin.close()

    def prepare(self) -> None:
        """Write the configuration and, the first time, format the storage."""
        properties = self.folder / "server.properties"
        if properties.exists():
            return
        listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.listeners().items())
        values = {"listeners": listeners, "controller_port": self._controller_port, "folder": self.folder}
        (self.folder / "log4j.properties").write_text(_LOGGING)
        properties.write_text(_PROPERTIES.format(**values) + self.more_properties())
        # Any 16 bytes in URL-safe base64 name a cluster; each broker here is a cluster of its own.
        arguments = ["format", "-t", "YmF5ZXV4LXRlc3RzLWtrYQ", "-c", str(properties), "--ignore-formatted"]
        arguments += self.format_arguments()
        done = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServiceError(f"formatting Kafka's storage failed:\n{done.stdout}{done.stderr}")

    def _java(self) -> list[str]:
        java = require_program("java", package="default-jre-headless")
        memory = ["-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
        logging_file = f"-Dlog4j.configuration=file:{self.folder}/log4j.properties"
        return [java, *memory, logging_file, "-cp", f"{install()}/*"]

    def command(self) -> list[str]:
        """Return the command line: a small heap and the quick compiler, for a broker that lives minutes."""
        return [*self._java(), "kafka.Kafka", str(self.folder / "server.properties")]

    def is_ready(self) -> bool:
        """Tell whether the broker has told a client about itself."""
        if not accepts_connections(self.port):
            return False
        # The client logs every refused attempt; while the broker starts they mean nothing.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=5_000)
        except KafkaError:
            return False
        try:
            return len(admin.describe_cluster()["brokers"]) == 1
        except KafkaError:
            return False
        finally:
            admin.close()
            logging.getLogger("kafka").setLevel(logging.NOTSET)
