// Package alertmanager brings alerts to a Prometheus Alertmanager, by its v2 API:
//
//	alerter, err := alertmanager.New(alertmanager.Config{URL: "http://alertmanager:9093"})
//	…
//	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter})
//	monitor, err := segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: alerter})
//
// # Alerts
//
// A segment's alert is SegmentAffected, an incident's SegmentIncident. Their
// labels say which alert it is: site_group, segment (the text of its ID; an
// incident has its name there), severity (page or ticket), job_kind, kind and
// build, and [Config].Labels; one that would be empty is left out. Numbers and
// texts are annotations: summary, description (the report), expected, stored,
// protected, job, run, attempt, rule, upstream, and the runbook as runbook_url if
// it is one, else as runbook; of an incident segments, site_groups, users, cause
// and next.
//
// An alert starts when the fault was first found, and ends [Config].KeepFor after
// it was fired last, unless it is resolved. An Alertmanager keeps alerts in
// memory: those that it forgot in a restart come back with the next sweep. What
// it has notified of it writes to --storage.path when it is stopped, and every 15
// minutes, and does not notify of again; one that is killed may do that.
//
// It is given to one Alertmanager; the members of a cluster tell each other what
// they notified of, but not their alerts.
//
// # Route and inhibition
//
// This is alertmanager.yml of the package's folder, which its tests run in an
// Alertmanager:
//
//	# How an Alertmanager takes what package alertmanager sends. Put your own
//	# receivers in; with Config.Labels, name those labels in group_by and equal too.
//	route:
//	  receiver: tickets
//	  # Each segment by itself: else 5,000 alerts are one group, and what is new in
//	  # it, or over, is lost in the crowd.
//	  group_by: [alertname, site_group, segment]
//	  group_wait: 1m # in this time an incident comes in, and holds its segments back
//	  group_interval: 5m
//	  repeat_interval: 4d # nobody is told again before; keep it below --data.retention, 5d by default
//	  routes:
//	    - matchers: [severity = page]
//	      receiver: pages
//	inhibit_rules:
//	  # An incident stands for its segments: one page, not 5,000.
//	  - source_matchers: [alertname = SegmentIncident]
//	    target_matchers: [alertname = SegmentAffected]
//	    equal: [job_kind, kind, build]
//	receivers:
//	  - name: pages
//	    webhook_configs:
//	      - url: http://127.0.0.1:9095/pages
//	        send_resolved: true
//	  - name: tickets
//	    webhook_configs:
//	      - url: http://127.0.0.1:9095/tickets
//	        send_resolved: true
//
// Every alert rings by itself, but for those that an incident stands for. What a
// guard fires rings too, unless a sweep finds within group_wait that it belongs
// to an incident.
//
// # Errors
//
// [New] returns a [*validate.InputError] that names the field. All else starts
// with "alertmanager: ", and says what was asked and what went wrong, or the
// status and the beginning of the answer; never the user and password of the URL.
// An answer of 5xx and none at all, within ten seconds, are tried four times
// within some seconds, others once. An alert whose segment is not UTF-8, or that
// Alertmanager refuses, does not keep back others that are told with it; where
// Alertmanager is out of reach the rest is not tried. Either way, tell all of
// them again: an alert that is there already is replaced.
//
// # Telemetry
//
// The package has none of its own. [Config].Client may have an instrumented
// transport.
package alertmanager
