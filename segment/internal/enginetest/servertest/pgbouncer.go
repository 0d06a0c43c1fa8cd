package servertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// StartPgBouncer starts a PgBouncer in transaction mode in front of a PostgreSQL, to
// which it has so many connections a database. It listens on a socket in its folder:
// host=Folder port=6432 user=postgres connects to it.
func StartPgBouncer(postgreSQL *Server, connections int) (*Server, error) {
	program, err := Find("pgbouncer", "pgbouncer")
	if err != nil {
		return nil, err
	}
	s, err := New("pgbouncer", "postgres")
	if err != nil {
		return nil, err
	}
	settings, users := filepath.Join(s.Folder, "pgbouncer.ini"), filepath.Join(s.Folder, "users.txt")
	err = errors.Join(
		os.WriteFile(users, []byte(`"postgres" ""`), 0o644),
		os.WriteFile(settings, fmt.Appendf(nil, `[databases]
* = host=%s
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = %s
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = %d
`, postgreSQL.Folder, s.Folder, users, connections), 0o644),
	)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	ready := func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.Folder, ".s.PGSQL.6432"))
		if err != nil {
			return err
		}
		return c.Close()
	}
	return s, s.Start(ready, program, settings)
}
