"""The care flow's configuration for tests, and events to send."""

import json
import re
from typing import Any

from extensions.careflow.config import CareflowConfig
from tests.support.care import at


def kafka_config(bootstrap_servers: str, world: str, **values: Any) -> CareflowConfig:
    """A configuration whose topics and group begin with ``world``: tests share a broker and do not meet."""
    wished = {
        "bootstrap_servers": (bootstrap_servers,),
        "topics_pattern": re.escape(world) + r"\.(task|presence|notification|activity)\.[a-z_]+",
        "topic_prefix": f"{world}.",
        "group_id": world,
        "dead_letter_topic": f"{world}.dead_letter",
        "metadata_max_age_ms": 200,
        "session_timeout_ms": 6_000,
        "commit_interval_ms": 20,
        "retry_first_ms": 1,
        "retry_longest_ms": 20,
        "send_timeout_ms": 15_000,
        **values,
    }
    return CareflowConfig(**wished).checked()


def task_updated(version: Any, *, task_id: str = "task_789", **fields: Any) -> bytes:
    """A ``task.updated`` of another service, as JSON."""
    task = {"id": task_id, "title": "Call", "member_id": "A123456", "assigned_to": "cc_456", "team_id": "team_1"}
    event = {
        "event_id": f"{task_id}_{version}",
        "type": "task.updated",
        "task_id": task_id,
        "version": version,
        "task": task,
        "changed_fields": ["title"],
        "changed_by": {"user_id": "cc_456", "user_name": "Sarah Johnson", "user_role": "care_coordinator"},
        "timestamp": at(1),
        **fields,
    }
    return json.dumps(event).encode()


def produce(config: CareflowConfig, topic: str, key: str, *values: bytes) -> None:
    """Write records as another service does, with a producer of its own; returns when the broker has each."""
    from kafka import KafkaProducer  # takes a second to import

    producer = KafkaProducer(bootstrap_servers=list(config.bootstrap_servers))
    try:
        for value in values:
            producer.send(topic, key=key.encode(), value=value).get(timeout=20)
    finally:
        producer.close()


def written(config: CareflowConfig, topic: str, task_id: str, count: int) -> list[Any]:
    """Return a task's events in a topic in their order, each once by its id, when there are so many; blocks."""
    from kafka import KafkaConsumer

    found: dict[str, Any] = {}
    consumer = KafkaConsumer(topic, bootstrap_servers=list(config.bootstrap_servers), auto_offset_reset="earliest")
    try:
        while len(found) < count:
            for records in consumer.poll(timeout_ms=100).values():
                for event in (json.loads(record.value) for record in records if record.key == task_id.encode()):
                    found.setdefault(event["event_id"], event)
    finally:
        consumer.close()
    return list(found.values())


def user_joined(task_id: str = "task_789", user_id: str = "cc_456") -> bytes:
    """A ``presence.user_joined`` of another service, as JSON."""
    user = {"user_id": user_id, "user_name": "Sarah Johnson", "user_role": "care_coordinator", "state": "viewing"}
    event = {
        "event_id": f"join_{task_id}_{user_id}",
        "type": "presence.user_joined",
        "task_id": task_id,
        "user": user,
        "timestamp": at(1),
    }
    return json.dumps(event).encode()
