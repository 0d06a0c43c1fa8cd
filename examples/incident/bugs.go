package main

// A build is the platform's code as it was deployed.
type build struct {
	name string
	// uploadsNothing: lookalike modeling finds its users and uploads none.
	uploadsNothing bool
	// readStops: paging through a source ends after so many users, as if there
	// were no more; 0 reads all.
	readStops int
}

var (
	healthy        = build{name: "2024.03.11"}
	broken         = build{name: "2024.03.18", uploadsNothing: true, readStops: 10_000}
	lookalikeFixed = build{name: "2024.03.20", readStops: 10_000}
	bothFixed      = build{name: "2024.03.21"}
)
