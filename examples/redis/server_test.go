package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// newServer starts a Redis for one test. On a developer's machine its absence skips
// what it must not skip on a build's.
func newServer(t *testing.T) (socket string) {
	t.Helper()
	socket, stop, err := serve(t.Context())
	if errors.Is(err, errNotInstalled) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, stop())
		require.NoFileExists(t, socket)
	})
	return socket
}

func newClient(t *testing.T, options *redis.Options) *redis.Client {
	t.Helper()
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// A network is what a client talks over until it is cut. Cut with the answer to a
// command, it lets the command through, and nothing after it.
type network struct {
	socket string
	cut    atomic.Bool
	answer atomic.Pointer[string] // to the command whose answer is lost, once
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if n.cut.Load() {
		return nil, net.ErrClosed
	}
	c, err := (&net.Dialer{}).DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: n.socket})
	return &connection{UnixConn: c, network: n}, err
}

type connection struct {
	*net.UnixConn // by which a client sees whether it is closed

	network *network
	lost    bool
}

func (c *connection) Write(b []byte) (int, error) {
	if c.network.cut.Load() {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	if command := c.network.answer.Load(); command != nil && strings.Contains(string(b), *command) {
		c.lost = c.network.answer.CompareAndSwap(command, nil)
	}
	return c.UnixConn.Write(b)
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.UnixConn.Read(b)
	if c.network.cut.Load() || c.lost {
		return 0, errors.Join(io.EOF, c.Close()) // as of a server that is gone
	}
	return n, err
}

// A before calls a function before each command or pipeline, with its first
// command's name and how many of that name there have been.
type before func(name string, times int)

type hook struct {
	before

	times map[string]int
	// swallow makes pipelines return no error, as with a job that does not look at it.
	swallow bool
	// answers are those of pipelines.
	succeeded, failed int
}

func (h *hook) count(c redis.Cmder) {
	h.times[c.Name()]++
	if h.before != nil {
		h.before(c.Name(), h.times[c.Name()])
	}
}

func (h *hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		h.count(c)
		return next(ctx, c)
	}
}

func (h *hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		h.count(all[0])
		err := next(ctx, all)
		for _, c := range all {
			if c.Err() == nil {
				h.succeeded++
			} else if h.failed++; h.swallow {
				c.SetErr(nil)
			}
		}
		if h.swallow {
			return nil
		}
		return err
	}
}

func TestNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, _, err := connect(t.Context(), "")
	require.ErrorIs(t, err, errNotInstalled)
	require.ErrorContains(t, connected(t.Context(), false), "apt-get install redis-server, or set REDIS_URL")
}

func TestConnect(t *testing.T) {
	options, stop, err := connect(t.Context(), "redis://localhost:6380/3")
	require.NoError(t, err)
	require.NoError(t, stop())
	require.Equal(t, "localhost:6380", options.Addr)
	require.Equal(t, 3, options.DB)
	_, _, err = connect(t.Context(), "localhost:6380")
	require.Error(t, err)
}
