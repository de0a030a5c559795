from tests.brokers.running import broker, embedded

__all__ = ["broker", "embedded"]
