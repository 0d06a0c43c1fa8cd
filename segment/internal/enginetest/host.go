package enginetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
)

// A host is a server in which tests make databases.
type host struct {
	*servertest.Server

	port   int // where it listens on one
	driver string
	dsn    func(database string) string // empty: its main database
}

// shared starts a host once, for all tests; Main closes it.
func shared(start func() (*host, error)) func() (*host, error) {
	var h *host
	server := servertest.Shared(func() (s *servertest.Server, err error) {
		if h, err = start(); err != nil {
			return nil, err
		}
		return h.Server, nil
	})
	return func() (*host, error) {
		_, err := server()
		return h, err
	}
}

// answers asks whether the host does.
func (h *host) answers(ctx context.Context) error {
	db, err := sql.Open(h.driver, h.dsn(""))
	if err != nil {
		return err
	}
	return errors.Join(db.PingContext(ctx), db.Close())
}

var databases atomic.Int64

// create makes an empty database, and returns its name.
func (h *host) create(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	h.admin(t, "CREATE DATABASE "+name)
	return name
}

// database makes one that is gone when the test ends, dropped with these words.
func (h *host) database(t testing.TB, words string) string {
	t.Helper()
	name := h.create(t)
	t.Cleanup(func() { h.admin(t, "DROP DATABASE "+name+words) })
	return name
}

func (h *host) admin(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open(h.driver, h.dsn(""))
	require.NoError(t, err)
	_, err = db.ExecContext(context.WithoutCancel(t.Context()), statement)
	require.NoError(t, errors.Join(err, db.Close()))
}
