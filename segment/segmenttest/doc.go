// Package segmenttest has suites that prove what package segment relies on.
package segmenttest
