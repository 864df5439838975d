from stackproof.adapters.cache.local import LocalCache
from stackproof.adapters.cache.memory import MemoryCache
from stackproof.contracts import CacheContract


class TestMemoryCache(CacheContract):
    def make_backend(self, namespace):
        return MemoryCache(namespace=namespace)


class TestLocalCache(CacheContract):
    def make_backend(self, namespace):
        return LocalCache(namespace=namespace)
