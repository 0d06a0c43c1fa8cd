// Package rerun orders and runs the jobs that must run again after an incident.
package rerun
