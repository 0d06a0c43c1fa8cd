// Package ledgertest checks implementations of the interfaces of package segment
// in their own tests: [TestLedger] a segment.Ledger, [TestRecorder] a
// segment.Recorder, [TestAlerter] a segment.Alerter.
//
// Each runs one subtest for each rule that the interface's documentation gives,
// and fails with the reason for the rule:
//
//	func TestLedger(t *testing.T) {
//		ledgertest.TestLedger(t, func(t *testing.T) segment.Ledger { return open(t) })
//	}
//
// A subtest takes segments of its own, named after it, so that ledgers may share
// a database. TestAlerter opens an Alerter without alerts for each rule. Run them
// with the race detector, too: several rules use what they test from many
// goroutines.
//
// # Errors
//
// The functions report through testing.T, and return nothing.
//
// # Telemetry
//
// The package has none.
package ledgertest
