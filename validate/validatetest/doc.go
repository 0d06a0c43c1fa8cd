// Package validatetest holds assertions for the tests of jobs and of the stores
// they write to. A failed assertion prints the report that an on-call engineer
// would read, and ends the test.
//
// That a whole job fails hard, whatever breaks around it, is for package
// segmenttest to prove.
//
// # Errors
//
// The assertions return none: what does not hold fails the test. An error that is
// no verdict, as of an outage or of a kind without a report, is none of the kinds
// that [RequireKind] wants.
//
// # Telemetry
//
// [RequireComplete] checks as [validate.Check] does, and reports to the global
// providers.
package validatetest
