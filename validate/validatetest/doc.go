// Package validatetest holds assertions for the tests of jobs and of the stores
// they write to. A failed assertion prints the report that an on-call engineer
// would read, and ends the test.
package validatetest
