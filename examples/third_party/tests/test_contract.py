from acme_cache import SqliteCache

from stackproof.contracts import CacheContract


class TestSqliteCache(CacheContract):
    def make_backend(self, namespace):
        return SqliteCache(namespace)
