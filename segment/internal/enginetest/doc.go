// Package enginetest runs tests on real databases: a PostgreSQL of its own, from
// the binaries that are installed, and SQLite files; on an Alertmanager; and in
// several processes, some of which are killed. It is a module of its own, so that
// drivers do not reach those who import the library.
package enginetest
