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
// labels say which alert it is: site_group, segment (the text of its ID), store,
// severity (page or ticket), kind, level, job_kind, build, incident (the ID of the
// incident that the segment is a member of), ledger, and [Config].Labels. An
// incident has its own ID as incident, and ring, the number of members for which
// it rang; it has no segment and no kind, and a site_group only where all members
// have the same. What would be empty is left out. No label changes as long as a
// fault stands: what becomes worse is a further alert beside the earlier ones, and
// all end together.
//
// All else is in annotations: summary, customers (whether they are hit), users
// (at stake), good (the last size that was right), since (when the fault was first
// found), upstream, link, next (what to do), and the runbook as runbook_url if it
// is one, else as runbook; of a segment also job, run, attempt, rule, expected
// and stored; of an incident segments, site_groups, cause and likely. The
// description has what people act on, one a line, and the report.
//
// Of the night on which a build stopped at 10,000 users, people see a page whose
// description is
//
//	Customers: not hit: 5,000 segments affected, all protected: the live ones keep their users
//	At stake: 3,799,935,370 users
//	Cause: copy jobs of build 9
//	Likely: stopped at 10,000 users, a known limit (Elasticsearch index.max_result_window, …)
//	Since: 2024-03-18T12:00:00Z
//	Next: roll back or mend build 9, then plan the reruns of everything affected (rerun.New)
//
// An alert starts when people were first told, and ends after 30 days if nobody
// ends it before. One that says it is unconfirmed, as the ledger was out of reach,
// ends after two hours: by then a sweep has fired it again, or found nothing. An
// Alertmanager keeps alerts in memory: a sweep asks for them, and fires again what
// a restart lost. What it has notified of it writes to --storage.path when it is
// stopped, and every 15 minutes, and does not notify of again; one that is killed
// may do that.
//
// It is given to one Alertmanager; the members of a cluster tell each other what
// they notified of, but not their alerts.
//
// # Route and inhibition
//
// This is alertmanager.yml of the package's folder, which its tests run in an
// Alertmanager. Its group_wait is how long an incident has to come in before its
// members ring:
//
//	# How an Alertmanager takes what package alertmanager sends. Put your own
//	# receivers in; with Config.Labels, name those labels in group_by and equal too.
//	route:
//	  receiver: tickets
//	  # Each segment by itself: else 5,000 alerts are one group, and what is new in
//	  # it, or over, is lost in the crowd. What becomes worse is a further alert of
//	  # the group, and what is over, is told once for all of them. Of an incident each
//	  # ring is a group: it is told at once, and again only when it is over.
//	  group_by: [alertname, site_group, segment, store, incident, ring, ledger]
//	  group_wait: 1m # in this time an incident comes in, and holds its members back
//	  group_interval: 5m
//	  repeat_interval: 4d # nobody is told again before; keep it below --data.retention, 5d by default
//	  routes:
//	    - matchers: [severity = page]
//	      receiver: pages
//	inhibit_rules:
//	  # An incident stands for its members: one page, not 5,000.
//	  - source_matchers: [alertname = SegmentIncident]
//	    target_matchers: [alertname = SegmentAffected, incident != ""]
//	    equal: [incident, ledger]
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
// A segment that is of no incident rings by itself, within group_wait.
//
// # Errors
//
// [New] returns a [*validate.InputError] that names the field. All else starts
// with "alertmanager: ", and says what was asked and what went wrong, or the
// status and the beginning of the answer; never the user and password of the URL.
// An answer of 5xx and none at all, within ten seconds or of a list within a
// minute, are tried four times within some seconds, others once; a list that was begun is not asked for again.
// An alert whose segment is not UTF-8 keeps nothing back. One that Alertmanager
// refuses keeps back what comes after it: see [Alerter.Tell]. Where Alertmanager is
// out of reach the rest is not tried. Either way, tell all of them again: an alert
// that is there already is replaced.
//
// # Telemetry
//
// The package has none of its own. [Config].Client may have an instrumented
// transport.
package alertmanager
