// Package planbench measures the rerun plan against a topological sort by gonum.
// It is a module of its own, so that gonum does not reach those who import the
// library.
package planbench
