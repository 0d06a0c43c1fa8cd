package enginetest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/ClickHouse/clickhouse-go/v2" // the driver "clickhouse"
)

var (
	errNoClickHouse = fmt.Errorf("%w: apt-get install clickhouse-server", errNotInstalled)
	clickHouse      = shared(func() (*daemon, error) { return startClickHouse("") })
)

func createClickHouse(t testing.TB) (driver, dsn string) {
	t.Helper()
	s, err := clickHouse()
	requireInstalled(t, err)
	name := s.database(t)
	return s.driver, s.dsn + name
}

// startClickHouse starts a server that knows these clusters.
func startClickHouse(clusters string) (*daemon, error) {
	binary, err := lookPath("clickhouse-server")
	if err != nil {
		return nil, errNoClickHouse
	}
	d, err := newDaemon("clickhouse", "")
	if err != nil {
		return nil, err
	}
	if d.port, err = freePort(); err != nil {
		return nil, err
	}
	d.driver, d.dsn = "clickhouse", fmt.Sprintf("clickhouse://127.0.0.1:%d/", d.port)
	config := filepath.Join(d.folder, "config.xml")
	if err := os.WriteFile(config, fmt.Appendf(nil, clickHouseConfig, d.port, d.folder, clusters), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(d.folder, "users.xml"), []byte(clickHouseUsers), 0o600); err != nil {
		return nil, err
	}
	return d, d.run(binary, "--config-file="+config)
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

// freePort is one below those that the system gives to outgoing connections,
// and not one that was given before.
func freePort() (int, error) {
	for range 11_000 {
		port := 21_000 + int(databases.Add(1))%11_000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port from 21000 to 31999")
}
