// Package alertmanager brings alerts to a Prometheus Alertmanager.
package alertmanager
