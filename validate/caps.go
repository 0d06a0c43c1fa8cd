package validate

import (
	"fmt"
	"slices"
	"strings"
)

// A Cap is a limit at which results are cut, and where it comes from.
type Cap struct {
	Users  int64  `json:"users"`
	Origin string `json:"origin"`
}

// KnownCaps returns the documented limits of widely used systems on a number of
// results, rows, users or ids: those that cut silently, and those that answer
// with an error or one page of many, which jobs tend to swallow. Each Origin
// names the system and the setting or call to look up in its documentation.
// They are ordered by their number and, at one number, by how likely an
// audience job meets them. Limits that have no number of their own, such as
// MariaDB's sql_select_limit or JDBC's setMaxRows, belong into Policy.Caps where
// they are set.
func KnownCaps() []Cap { return slices.Clone(knownCaps) }

// Behind each entry stands where the number was found.
var knownCaps = []Cap{
	{10, "Apache Solr rows (default)"},                                         // https://solr.apache.org/guide/6_6/common-query-parameters.html
	{10, "RediSearch FT.SEARCH LIMIT (default)"},                               // RediSearch/RediSearch src/aggregate/aggregate.h, DEFAULT_LIMIT
	{10, "Weaviate QUERY_DEFAULTS_LIMIT"},                                      // weaviate v1.35.2 usecases/config/config_handler.go
	{40, "pgvector hnsw.ef_search (default)"},                                  // pgvector/pgvector README.md
	{60, "Amazon Cognito ListUsers page"},                                      // aws-sdk-go-v2/service/cognitoidentityprovider api_op_ListUsers.go
	{100, "Weaviate GraphQL limit (default)"},                                  // weaviate v1.35.2 usecases/config/config_handler.go
	{100, "Google Custom Search results"},                                      // google.golang.org/api customsearch/v1
	{100, "Grafana Loki limit (default)"},                                      // grafana/loki docs/sources/reference/loki-http-api.md
	{100, "ServiceNow ODBC maxrows (default)"},                                 // https://www.servicenow.com/docs, ODBC iSQL
	{101, "MongoDB first batch"},                                               // https://www.mongodb.com/docs/manual/reference/method/cursor.batchSize/
	{200, "OpenSearch plugins.query.size_limit"},                               // https://docs.opensearch.org/1.0/search-plugins/sql/settings
	{200, "Google Directory members.list page"},                                // google.golang.org/api admin/directory/v1
	{400, "Vespa maxHits"},                                                     // vespa-engine/documentation en/learn/faq.md
	{500, "Apache Kafka max.poll.records"},                                     // apache/kafka ConsumerConfig.java
	{500, "Power Apps non-delegable row limit"},                                // https://learn.microsoft.com/power-apps/maker/canvas-apps/delegation-overview
	{1000, "Elasticsearch ES|QL LIMIT (default)"},                              // https://elastic.co/docs/reference/query-languages/esql/commands/limit
	{1000, "Algolia paginationLimitedTo"},                                      // @algolia/client-search 5.64.0
	{1000, "Meilisearch pagination.maxTotalHits"},                              // meilisearch/documentation open-api
	{1000, "Amazon S3 ListObjectsV2 page"},                                     // aws-sdk-go-v2/service/s3 api_op_ListObjectsV2.go
	{1000, "Google Cloud Storage list page"},                                   // google.golang.org/api storage/v1
	{1000, "Azure Table storage page"},                                         // https://learn.microsoft.com/rest/api/storageservices/Query-Timeout-and-Pagination
	{1000, "Active Directory LDAP MaxPageSize"},                                // https://learn.microsoft.com/en-us/previous-versions/ms180880(v=vs.90)
	{1000, "Okta LDAP page"},                                                   // https://help.okta.com/en-us/Content/Topics/Directory/ldap-interface-pagination-control.htm
	{1000, "Supabase max_rows"},                                                // orgs/supabase discussions 3765
	{1000, "Google Analytics Reporting v4 pageSize (default)"},                 // google.golang.org/api analyticsreporting/v4
	{1000, "Google Search Console rowLimit (default)"},                         // google.golang.org/api searchconsole/v1
	{1000, "MariaDB client --safe-updates select_limit"},                       // reproduced with MariaDB 10.11
	{1000, "Zendesk Search results"},                                           // https://support.zendesk.com/hc/en-us/community/posts/4409222763930
	{1000, "GitHub REST search results"},                                       // https://docs.github.com/rest/reference/search
	{1000, "NocoDB DB_QUERY_LIMIT_MAX"},                                        // nocodb/nocodb issue 7761
	{1000, "Apache Livy download_sql"},                                         // acroz/pylivy issue 98
	{1000, "Apache Superset DEFAULT_SQLLAB_LIMIT"},                             // superset config.py
	{1000, "Redash auto limit"},                                                // getredash/redash redash/query_runner/__init__.py
	{1000, "Apache Zeppelin maxResult"},                                        // apache/zeppelin docs/interpreter/jdbc.md
	{1000, "Omni default_row_limit"},                                           // https://docs.omni.co/modeling/models/default-row-limit
	{1500, "Active Directory member range retrieval"},                          // https://jira.atlassian.com/browse/conf-21981
	{2000, "Salesforce REST query batch"},                                      // https://developer.salesforce.com/docs, resources_query
	{2000, "Salesforce report detail rows"},                                    // StevenMMortimer/salesforcer issue 87
	{2000, "Power Apps non-delegable row limit (maximum)"},                     // https://learn.microsoft.com/power-apps/maker/canvas-apps/delegation-overview
	{2500, "X Ads audience operations per batch"},                              // https://developer.x.com/en/docs/x-ads-api/audiences/api-reference/audience
	{5000, "Cassandra gocql PageSize"},                                         // gocql v1.7.0 cluster.go
	{5000, "Grafana Loki max_entries_limit_per_query"},                         // grafana/loki pkg/validation/limits.go
	{5000, "Cloudera Data Visualization maximum rows"},                         // https://docs.cloudera.com/data-visualization/7
	{5000, "Observe group limit"},                                              // https://docs.observeinc.com
	{9990, "HubSpot search results in reach"},                                  // HubSpot CRM search: an offset past 9,990 of 10,000 is refused
	{10000, "Elasticsearch index.max_result_window"},                           // go-elasticsearch/v8 typedapi/core/search/search.go
	{10000, "Elasticsearch track_total_hits (default)"},                        // go-elasticsearch/v8 typedapi types
	{10000, "Elasticsearch ES|QL LIMIT (maximum)"},                             // https://elastic.co/docs/reference/query-languages/esql/commands/limit
	{10000, "Meta custom audience users per request"},                          // https://developers.facebook.com/docs/marketing-api/reference/custom-audience/users
	{10000, "Google Analytics Data API limit (default)"},                       // google.golang.org/api analyticsdata/v1beta
	{10000, "Google Ads OfflineUserDataJob operations per call (recommended)"}, // Google Ads API forum
	{10000, "jsforce maxFetch (default)"},                                      // jsforce 3.10.16 lib/query.js
	{10000, "SailPoint search offset"},                                         // https://developer.sailpoint.com/docs/api/v2025/search-post
	{10000, "ServiceNow sysparm_limit (default)"},                              // ServiceNow community 900677, quoting the documentation
	{10000, "ServiceNow glide.processor.json.row_limit"},                       // ServiceNow/ServiceNowDocs c_SettingTheNumberOfRowsReturned.md
	{10000, "Amazon Kinesis GetRecords Limit"},                                 // aws-sdk-go-v2/service/kinesis api_op_GetRecords.go
	{10000, "CloudWatch Logs Insights limit"},                                  // aws-sdk-go-v2/service/cloudwatchlogs api_op_StartQuery.go
	{10000, "Splunk subsearch maxout"},                                         // https://help.splunk.com, SPL search reference, append
	{10000, "InfluxDB 1.0 max-row-limit"},                                      // influxdb CHANGELOG
	{10000, "Cube workbook row limit (default)"},                               // cube-js/cube issue 11003
	{10000, "Databricks notebook table rows"},                                  // https://learn.microsoft.com/en-ca/azure/databricks/notebooks/notebook-limitations
	{10000, "Apache Superset DISPLAY_MAX_ROW"},                                 // superset config.py
	{16384, "Milvus topk"},                                                     // milvus-io/milvus-docs site/en/about/limitations.md
	{20000, "LogScale QueryResultRowCountLimit"},                               // https://library.humio.com
	{25000, "Google Search Console rowLimit (maximum)"},                        // google.golang.org/api searchconsole/v1
	{32766, "SQLite SQLITE_MAX_VARIABLE_NUMBER"},                               // sqlite3.c
	{50000, "Splunk join subsearch_maxout"},                                    // https://help.splunk.com, SPL search reference, join
	{50000, "Cube workbook row limit (maximum)"},                               // cube-js/cube issue 11003
	{50000, "Omni row limit (maximum)"},                                        // https://docs.omni.co/modeling/models/default-row-limit
	{65535, "PostgreSQL bind parameters"},                                      // PostgreSQL documentation, appendix K, limits
	{65535, "Excel .xls rows per sheet less the header"},                       // one of 65,536 holds the names of columns
	{65536, "Excel .xls rows per sheet"},                                       // https://docs.devexpress.com, Suppress65536RowsWarning
	{100000, "Google Ads OfflineUserDataJob identifiers per request"},          // Google Ads API forum
	{100000, "Google Analytics Reporting v4 pageSize (maximum)"},               // google.golang.org/api analyticsreporting/v4
	{100000, "Apache Pinot numGroupsLimit"},                                    // https://docs.pinot.apache.org
	{100000, "CloudWatch Logs Insights paged results"},                         // aws-sdk-go-v2/service/cloudwatchlogs api_op_StartQuery.go
	{100000, "Apache Superset SQL_MAX_ROW"},                                    // superset config.py
	{100000, "Oracle WebCenter Content MaxHitCount"},                           // https://docs.oracle.com/cd/E21043_01/doc.1111/e10726
	{100000, "TIBCO LogLogic LIMIT (default)"},                                 // https://docs.tibco.com/pub/loglmi/6.3.0
	{200000, "LogScale MAX_JOIN_LIMIT"},                                        // https://library.humio.com
	{250000, "Google Analytics Data API limit (maximum)"},                      // google.golang.org/api analyticsdata/v1beta
	{500000, "Google DV360 Customer Match members per request"},                // google.golang.org/api displayvideo/v4
	{500000, "Azure Data Explorer result truncation"},                          // MicrosoftDocs/dataexplorer-docs result-truncation.md
	{1000000, "RediSearch search-max-search-results"},                          // RediSearch/RediSearch src/config.h
	{1048566, "QlikView Send to Excel rows"},                                   // https://help.qlik.com, Send to Excel
	{1048575, "Metabase absolute-max-rows"},                                    // metabase/metabase issue 24969
	{1048575, "Excel .xlsx rows per sheet less the header"},                    // one of 1,048,576 holds the names of columns
	{1048576, "Excel .xlsx rows per sheet"},                                    // https://learn.microsoft.com/en-us/openspecs/office_standards/ms-oi29500
}

// capNumbers are the distinct numbers, ascending.
var capNumbers = func() []int64 {
	numbers := make([]int64, len(knownCaps))
	for i, c := range knownCaps {
		numbers[i] = c.Users
	}
	return slices.Compact(numbers)
}()

// A capSet is the limits that a policy knows: its own, and those of KnownCaps of
// the systems it names.
type capSet struct {
	own     []Cap
	systems []string // none: all
}

func (p *Policy) limits() capSet { return capSet{p.Caps, p.CapSystems} }

// at returns every limit of exactly n users, the policy's own first.
func (c capSet) at(n int64) (caps []Cap) {
	if !c.has(n) {
		return nil
	}
	for _, limit := range c.own {
		if limit.Users == n {
			caps = append(caps, limit)
		}
	}
	for _, limit := range knownCaps {
		if limit.Users == n && c.knows(limit) {
			caps = append(caps, limit)
		}
	}
	return caps
}

// has reports whether n is a limit.
func (c capSet) has(n int64) bool {
	if c.owns(n) || len(c.systems) == 0 {
		return isCap(n, c.own)
	}
	return slices.ContainsFunc(knownCaps, func(limit Cap) bool { return limit.Users == n && c.knows(limit) })
}

// under reports whether n is a limit, or at most 2% below one.
func (c capSet) under(n int64) bool {
	below := func(limit Cap) bool {
		return c.knows(limit) && n <= limit.Users && float64(n) >= underCap*float64(limit.Users)
	}
	return n > 0 && (slices.ContainsFunc(knownCaps, below) || slices.ContainsFunc(c.own, func(limit Cap) bool {
		return n <= limit.Users && float64(n) >= underCap*float64(limit.Users)
	}))
}

// owns reports whether n is a limit of the policy's own.
func (c capSet) owns(n int64) bool {
	return slices.ContainsFunc(c.own, func(limit Cap) bool { return limit.Users == n })
}

// knows reports whether a known limit is one of the systems in use.
func (c capSet) knows(limit Cap) bool {
	return len(c.systems) == 0 || slices.ContainsFunc(c.systems, limit.of)
}

// of reports whether the limit's origin begins with the name of a system, in any
// case.
func (c Cap) of(system string) bool {
	n := len(system)
	return n > 0 && n <= len(c.Origin) && strings.EqualFold(c.Origin[:n], system) && (n == len(c.Origin) || c.Origin[n] == ' ')
}

// isCap reports whether n is a known limit, or one of own.
func isCap(n int64, own []Cap) bool {
	if _, known := slices.BinarySearch(capNumbers, n); known {
		return true
	}
	return slices.ContainsFunc(own, func(c Cap) bool { return c.Users == n })
}

// multiple returns the largest limit of 1,000 or more of which n is a multiple,
// twice at least: what is left of so many expected users when each page or shard
// lost its rest. It returns none where chance may well have made the multiple: where,
// of all losses of up to twice as many users, one in 200 or more leaves a multiple of
// some limit. Of a round number of users, round numbers are lost (a page, a batch, a
// tenth), which leaves multiples of limits, as they are round, too: then only losses
// of the same unit are looked at.
func (c capSet) multiple(n, expected int64) (limit Cap, times int64, ok bool) {
	lost := expected - n
	from := expected - min(expected, 2*lost)
	var multiples, last int64
	for _, list := range [][]Cap{c.own, knownCaps} {
		for _, l := range list {
			if l.Users < capLevel || !c.knows(l) && !c.owns(l.Users) {
				continue
			}
			if l.Users != last {
				multiples += expected/l.Users - (from-1)/l.Users
				last = l.Users
			}
			if l.Users > limit.Users && n%l.Users == 0 && n/l.Users >= 2 {
				limit, times, ok = l, n/l.Users, true
			}
		}
	}
	return limit, times, ok && 200*multiples < (expected-from)/unit(expected, limit.Users)
}

// unit returns the largest number of which both are multiples; 1 where that is so
// small that one number in 20 shares it by chance.
func unit(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	if a < 20 {
		return 1
	}
	return a
}

// round reports whether a side that holds half or more of another may be on a limit as
// well because both numbers are round: of losses of the same unit, up to twice as many,
// one in 100 or more ends there.
func round(before, after int64) bool {
	lost := before - after
	return 0 < lost && lost <= after && 2*lost <= 100*unit(before, after)
}

// uncap takes back that a side was capped where round numbers end on a limit, which is
// round, too, and more is known than that: which users are missing, and others after
// them are not; or that ids are mapped, whose rate says what became of them, unless the
// size fell from what it used to be. What fails stays so: by a Gap, or a Short of which
// the limit is a hint, and where nothing else fails by the limit itself.
func (j *judge) uncap() {
	known := j.found(Gap) && !j.found(Truncated)
	mapped := j.policy.Mapping != (Ratio{}) && !j.found(Dropped)
	if !known && !mapped {
		return
	}
	more := slices.ContainsFunc(j.report.Findings, func(f Finding) bool { return f.Kind != Capped && f.fails() })
	j.report.Findings = slices.DeleteFunc(j.report.Findings, func(f Finding) bool {
		if f.Kind != Capped || f.fails() && !more || !known && f.Step == reading.String() || !j.rounded(f.Caps[0].Users) {
			return false
		}
		if at := stageNamed(f.Step); !known && f.fails() && at >= 0 {
			j.hint(stage(at), fmt.Sprintf("exactly a known limit (%s), and as round as the number it is a part of", f.Caps[0].Origin)) //nolint:gosec // not negative
		}
		return true
	})
}

// rounded reports whether a side is as round as a limit and holds at most twice as many.
func (j *judge) rounded(limit int64) bool {
	for _, side := range []*Summary{&j.out.Expected, &j.out.Read, &j.out.Written} {
		if side.usable() && side.counted() && round(side.lower, limit) {
			return true
		}
	}
	return false
}
