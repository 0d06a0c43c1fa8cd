# Makes the rows of the README's cost table of what .ci/costs measured: lines of
# go test -bench, the rows that BenchmarkEngines prints, and "bytes what".

$1 == "pkg:" { n = split($2, path, "/"); package = path[n] }

$1 ~ /^Benchmark/ {
	name = $1
	sub(/^Benchmark/, "", name)
	sub(/-[0-9]+$/, "", name)
	for (i = 3; i < NF; i += 2) values[package "/" name " " $(i + 1)] = $i
}

$1 == "---" && $2 == "BENCH:" { engine = $3; sub(/^.*\//, "", engine); sub(/-[0-9]+$/, "", engine) }

/^ *\|.*\*\*.* ×\*\*/ {
	split($0, column, / *\| */)
	sub(/ fingerprint of .*/, "", column[2])
	gsub(/[* ×]/, "", column[4])
	values[engine " " column[2]] = column[4]
}

$1 == "bytes" { values["bytes " $2] = $3 }

# of is a value, scaled and rounded. One that was not measured must not become an empty cell.
function of(key, digits, scale) {
	if (!(key in values)) { print "not measured: " key >"/dev/stderr"; missing = 1 }
	return sprintf("%." digits "f", values[key] * (scale ? scale : 1))
}

function by_length(way) {
	way = "validate/Digest/" way "/"
	return of(way "8 ×xxh3", 2) " / " of(way "36 ×xxh3", 2) " ×"
}

function range(a, b) { return a == b ? a : (a + 0 < b + 0 ? a "–" b : b "–" a) }

function row(what, cost) { rows = rows "| " what " | " cost " |\n" }

END {
	row("`Digest.AddString` against a bare xxh3 loop, ids of 8 / 36 bytes", by_length("AddString"))
	row("`Digest.AddStrings`, whole batches", by_length("AddStrings"))
	row("`Tee`, a stream of ids one by one", by_length("Tee"))
	row("two digests on two cores, merged, against one", of("validate/DigestTwoGoroutines ×one", 2) " × as fast")
	row("digesting 10M ids of 36 bytes against DuckDB's `count`, `approx_count_distinct`, `sum(hash)`, on one thread / on two",
		of("digestbench/AgainstDuckDB/one_thread ×duckdb", 2) " / " of("digestbench/AgainstDuckDB/two_threads ×duckdb", 2) " × its time")
	row("digesting a file of 10M lines against `sort -u \\| wc -l`",
		of("digestbench/AgainstSort ×sort", 2) " × its time, " of("digestbench/AgainstSort MiB", 0) " MiB against " of("digestbench/AgainstSort MiB/sort", 0) " MiB")
	copy = "copy_of_UUIDs guarded copy, "
	row("a guarded `INSERT … SELECT` of 1M users in PostgreSQL with a primary key: counted / fingerprinted on both sides",
		of(copy "counted / an unguarded one", 2) " / " of(copy "fingerprinted / an unguarded one", 2) " × an unguarded one, whose own times vary by more than that; " \
		of(copy "counted / its own copying", 2) " / " of(copy "fingerprinted / its own copying", 2) " × its own time to copy and commit")
	row("fingerprinting 10M UUIDs inside PostgreSQL, by its own hash, against counting them there: as `uuid` / as text",
		of("postgresql native, UUIDs", 1) " / " of("postgresql native, UUIDs as text", 1) " ×")
	row("the same in ClickHouse by MD5, equal bit for bit to Go and every other engine", of("clickhouse portable", 0) " ×")
	allocations = of("validate/Check/counts allocs/op", 0) + of("validate/Check/history allocs/op", 0)
	row("`Check` on counts / with a 30-point history", of("validate/Check/counts ns/op", 1, 0.001) " / " of("validate/Check/history ns/op", 1, 0.001) " µs, " \
		(allocations ? allocations " allocations" : "no allocation") " while nothing traces")
	sqlite = "enginetest/Sweep/sqlite-wal "
	postgresql = "enginetest/Sweep/postgresql "
	row("a sweep over 1M segments of 30 sizes: in memory, one core / from SQLite or PostgreSQL against reading the same rows",
		of("segment/Sweep ns/segment", 1, 0.001) " µs a segment / " range(of(sqlite "x-read", 1), of(postgresql "x-read", 1)) " ×, " \
		range(of(sqlite "MB", 0), of(postgresql "MB", 0)) " MB")
	faster = of("planbench/Plan x-Sort", 4)
	if (missing) exit 1
	row("planning the reruns of 1M jobs with 3M dependencies against gonum's `topo.Sort`", sprintf("%.2f", 1 / faster) " × its time")
	row("`Plan.Run` beside what the jobs themselves take, eight at a time", of("planbench/Run/limit=8 µs/step", 0) " µs a step")
	row("a digest", "1.6 MiB at most, whatever the input, unless `Resolve` asks for more")
	row("a program that imports `validate` and `segment`, against the same without",
		of("bytes with", 1, 1e-6) " MB against " of("bytes without", 1, 1e-6) " MB; no driver, server or OpenTelemetry SDK")
	if (missing) exit 1
	printf "%s", rows
}
