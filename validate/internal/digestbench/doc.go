// Package digestbench measures digests against what one would take instead: an
// analytical database, and sort. DuckDB is linked only where it is asked for,
// as it needs a C++ tool chain:
//
//	go test -tags duckdb -bench . -timeout 30m
package digestbench
