// Package rivertest runs plans of reruns on River and a real PostgreSQL, in processes of
// which some are killed.
package rivertest
