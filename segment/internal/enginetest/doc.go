// Package enginetest runs tests on real servers of its own, from the binaries that
// are installed: PostgreSQL, MariaDB, ClickHouse and Alertmanager; on SQLite
// files; and in several processes, some of which are killed. It is a module of its
// own, so that drivers do not reach those who import the library.
//
// Where a server is not installed its tests are skipped, unless CI is set.
// SEGMENTGUARD_ENGINE=mariadb asks for the tests on one engine alone,
// SEGMENTGUARD_CLUSTER=1 asks for the tests on three ClickHouse servers,
// SEGMENTGUARD_LOAD=1m for a minute of the load test.
package enginetest
