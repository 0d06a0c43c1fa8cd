// Package ledgertest checks implementations of segment.Ledger, segment.Recorder
// and segment.Alerter against what their documentation promises.
package ledgertest
