// Package sdktest tests what segmentguard tells OpenTelemetry, with the SDK's
// span recorder and manual reader. It is a module of its own, so that the SDK
// reaches no importer of segmentguard.
package sdktest
