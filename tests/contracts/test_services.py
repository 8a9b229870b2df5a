"""The real services do what the tests that use them count on."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncpg
import grpc
import psutil
import pytest
from authzed.api.v1 import ReadSchemaRequest, WriteSchemaRequest
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceStub
from kafka import KafkaConsumer, KafkaProducer
from playwright.async_api import Page
from redis import Redis as RedisClient
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support.services.kafka import Kafka
from tests.support.services.nginx import Nginx
from tests.support.services.redis import Redis
from tests.support.services.service import ServiceError, accepts_connections
from tests.support.services.spicedb import SpiceDB


class TestAnyService:
    def test_it_is_found_on_its_port_until_it_is_closed(self) -> None:
        with Redis() as server:
            assert accepts_connections(server.port)
            assert server.running
        assert not accepts_connections(server.port)
        assert not server.folder.exists()

    def test_a_restart_keeps_its_port(self) -> None:
        with Redis() as server:
            port, pid = server.port, server.pid
            server.restart()
            assert (server.port, server.pid != pid) == (port, True)
            assert accepts_connections(port)

    def test_suspended_it_answers_nothing_and_resumed_it_goes_on(self) -> None:
        with Redis() as server, RedisClient.from_url(server.url, socket_timeout=0.2, retry=None) as client:
            server.suspend()
            with pytest.raises(RedisTimeoutError):
                client.ping()
            server.resume()
            assert client.ping()

    def test_a_start_that_fails_shows_the_end_of_the_log(self) -> None:
        with pytest.raises(ServiceError, match="unknown directive"):
            Nginx("nonsense;").__enter__()

    def test_it_dies_with_a_test_run_that_is_killed(self, tmp_path: Path) -> None:
        script = tmp_path / "killed.py"
        script.write_text(
            textwrap.dedent("""
                import os, signal
                from tests.support.services.redis import Redis
                print(Redis().start().pid, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            """)
        )
        # Nobody is left to remove its data: it goes where pytest cleans up.
        mine = os.environ | {"TMPDIR": str(tmp_path)}
        done = subprocess.run([sys.executable, str(script)], env=mine, stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == -signal.SIGKILL
        service = int(done.stdout)
        _, alive = psutil.wait_procs([psutil.Process(service)] if psutil.pid_exists(service) else [], timeout=10)
        assert not alive


class TestRedis:
    def test_append_only_it_keeps_its_data_over_a_crash(self) -> None:
        with Redis(append_only=True) as server:
            with RedisClient.from_url(server.url) as client:
                client.set("kept", "yes")
            server.kill()
            server.start()
            with RedisClient.from_url(server.url) as client:
                assert client.get("kept") == b"yes"

    @pytest.mark.parametrize("turn", [1, 2])
    def test_each_test_finds_it_empty(self, redis_url: str, turn: int) -> None:
        with RedisClient.from_url(redis_url) as client:
            assert client.dbsize() == 0
            client.set("left behind", turn)


class TestPostgres:
    @pytest.mark.parametrize("turn", [1, 2])
    async def test_each_test_gets_a_database_of_its_own(self, postgres_dsn: str, turn: int) -> None:
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("CREATE TABLE mine (turn int)")
        await connection.execute("INSERT INTO mine VALUES ($1)", turn)
        assert await connection.fetchval("SELECT turn FROM mine") == turn
        await connection.close()


class TestKafka:
    def test_what_is_produced_is_consumed(self, kafka_broker: Kafka) -> None:
        kafka_broker.create_topic("services-round-trip", partitions=1)
        producer = KafkaProducer(bootstrap_servers=kafka_broker.bootstrap_servers)
        producer.send("services-round-trip", b"hello").get(timeout=30)
        producer.close()
        consumer = KafkaConsumer(
            "services-round-trip",
            bootstrap_servers=kafka_broker.bootstrap_servers,
            auto_offset_reset="earliest",
            group_id="services",
        )
        assert next(consumer).value == b"hello"
        consumer.close()


class TestSpiceDB:
    def test_each_token_has_a_schema_of_its_own(self, spicedb_server: SpiceDB) -> None:
        with grpc.insecure_channel(spicedb_server.target) as channel:
            schema = SchemaServiceStub(channel)
            mine = (("authorization", f"Bearer {spicedb_server.new_token()}"),)
            other = (("authorization", f"Bearer {spicedb_server.new_token()}"),)
            schema.WriteSchema(WriteSchemaRequest(schema="definition user {}"), metadata=mine)
            assert "user" in schema.ReadSchema(ReadSchemaRequest(), metadata=mine).schema_text
            with pytest.raises(grpc.RpcError, match="no schema"):
                schema.ReadSchema(ReadSchemaRequest(), metadata=other)


class TestChromium:
    async def test_it_runs_a_page(self, page: Page) -> None:
        await page.set_content("<p id=greeting>loading</p><script>greeting.textContent = 6 * 7</script>")
        assert await page.inner_text("#greeting") == "42"
