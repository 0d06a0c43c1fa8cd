package enginetest

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// clusterVariable asks for tests on several servers, which few machines have the
// memory for.
const clusterVariable = "SEGMENTGUARD_CLUSTER"

// A Cluster is two ClickHouse servers and a third that knows them as the cluster
// "shards", and as "metered" where what they send to it is counted.
type Cluster struct {
	Shards [2]Database
	Front  Database
	hosts  []*host
	sent   atomic.Int64
}

// NewCluster starts one, if SEGMENTGUARD_CLUSTER is set. It is stopped when the
// test ends.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	only(t, ClickHouse.Name)
	if os.Getenv(clusterVariable) == "" {
		t.Skip("set " + clusterVariable + "=1 to test on three servers")
	}
	c := &Cluster{}
	var direct, metered strings.Builder
	for i := range c.Shards {
		c.Shards[i] = c.start(t, "")
		port := c.hosts[i].port
		direct.WriteString(shard(port))
		metered.WriteString(shard(c.meter(t, port)))
	}
	c.Front = c.start(t, "<shards>"+direct.String()+"</shards><metered>"+metered.String()+"</metered>")
	return c
}

func shard(port int) string {
	return fmt.Sprintf("<shard><replica><host>127.0.0.1</host><port>%d</port></replica></shard>", port)
}

func (c *Cluster) start(t testing.TB, clusters string) Database {
	t.Helper()
	h, err := startClickHouse(clusters)
	servertest.Require(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	c.hosts = append(c.hosts, h)
	return Database{sqlsegment.ClickHouse, h.driver, h.dsn("")}
}

// Stop kills a shard.
func (c *Cluster) Stop(t testing.TB, shard int) {
	t.Helper()
	require.NoError(t, c.hosts[shard].Signal(syscall.SIGKILL))
}

// Sent returns how many bytes the shards of "metered" have sent.
func (c *Cluster) Sent() int64 { return c.sent.Load() }

// meter passes on what is sent to and from a port, and returns its own.
func (c *Cluster) meter(t testing.TB, port int) int {
	t.Helper()
	l, err := servertest.Listen()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			go c.pass(client, port)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on one
}

// pass ends with either side; what it could not pass on, they notice.
func (c *Cluster) pass(client net.Conn, port int) {
	defer client.Close()
	server, err := net.Dial("tcp", servertest.Address(port))
	if err != nil {
		return
	}
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, client)
	}()
	_, _ = io.Copy(io.MultiWriter(client, counted{&c.sent}), server)
}

type counted struct{ bytes *atomic.Int64 }

func (c counted) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}
