"""The ports shared between nodes through Redis 7 or later, or Valkey."""

from bayeux_server.backends.redis.answers import RedisAnswers
from bayeux_server.backends.redis.broker import RedisBroker
from bayeux_server.backends.redis.history import RedisHistory

__all__ = ["RedisAnswers", "RedisBroker", "RedisHistory"]
