package enginetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/ClickHouse/clickhouse-go/v2" // the driver "clickhouse"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// ClickHouse has only Users.
var ClickHouse = Engine{"clickhouse", sqlsegment.ClickHouse, createClickHouse}

var sharedClickHouse = shared(func() (*host, error) { return startClickHouse("") })

func createClickHouse(t testing.TB) (driver, dsn string) {
	t.Helper()
	h, err := sharedClickHouse()
	servertest.Require(t, err)
	return h.driver, h.dsn(h.database(t, ""))
}

// startClickHouse starts a server that knows these clusters.
func startClickHouse(clusters string) (*host, error) {
	binary, err := servertest.Find("clickhouse-server", "clickhouse-server")
	if err != nil {
		return nil, err
	}
	port, err := servertest.Port()
	if err != nil {
		return nil, err
	}
	s, err := servertest.New("clickhouse", "")
	if err != nil {
		return nil, err
	}
	h := &host{Server: s, port: port, driver: "clickhouse", dsn: func(database string) string {
		return "clickhouse://" + servertest.Address(port) + "/" + database
	}}
	for name, text := range map[string]string{
		"config.xml": fmt.Sprintf(clickHouseConfig, port, s.Folder, clusters),
		"users.xml":  clickHouseUsers,
	} {
		if err := os.WriteFile(filepath.Join(s.Folder, name), []byte(text), 0o600); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return h, s.Start(h.answers, binary, "--config-file="+filepath.Join(s.Folder, "config.xml"))
}

const clickHouseConfig = `<yandex>
<logger><level>warning</level><console>1</console></logger>
<listen_host>127.0.0.1</listen_host><tcp_port>%d</tcp_port>
<path>%s/data/</path><tmp_path>%[2]s/tmp/</tmp_path>
<users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>268435456</mark_cache_size><timezone>UTC</timezone>
<remote_servers>%[3]s</remote_servers>
</yandex>`

const clickHouseUsers = `<yandex>
<profiles><default></default></profiles><quotas><default></default></quotas>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
</yandex>`
