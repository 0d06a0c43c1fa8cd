package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// patience is how long the database may take to answer at all.
const patience = 10 * time.Second

const dsnForms = "want postgres://user@host/database, mysql://user@host/database or the path of an SQLite file"

// connect opens the ledger. create says that a file may be made.
func (a *app) connect(ctx context.Context, create bool) error {
	a.dsn = cmp.Or(a.dsn, a.env("SEGMENTGUARD_DSN"))
	if a.dsn == "" {
		return errors.New("which ledger? set SEGMENTGUARD_DSN or --dsn: " + dsnForms)
	}
	open, dialect := kindOf(a.dsn)
	db, err := open(a.dsn, create)
	if err != nil {
		return err
	}
	a.db = db
	db.SetMaxOpenConns(4)
	ping, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := db.PingContext(ping); err != nil {
		return fmt.Errorf("cannot connect: %w", err)
	}
	a.ledger, err = sqlsegment.NewLedger(db, dialect)
	return err
}

// keywords are how PostgreSQL's own form of a DSN begins a setting.
var keywords = regexp.MustCompile(`(^|\s)(host|hostaddr|dbname|user|service)\s*=`)

// addresses are how the MySQL driver's form of a DSN has one.
var addresses = regexp.MustCompile(`(^|@)\w*(\([^)]*\))?/[^/]*$`)

// kindOf returns what opens a DSN.
func kindOf(dsn string) (open func(dsn string, create bool) (*sql.DB, error), dialect sqlsegment.Dialect) {
	scheme, _, _ := strings.Cut(dsn, ":")
	switch {
	case scheme == "postgres", scheme == "postgresql", keywords.MatchString(dsn):
		return openPostgreSQL, sqlsegment.PostgreSQL
	case scheme == "mysql", scheme == "mariadb":
		return openMySQLURL, sqlsegment.MySQL
	case scheme != "file" && strings.Contains(dsn, "(") && addresses.MatchString(dsn), strings.Contains(dsn, "@tcp("), strings.Contains(dsn, "@unix("):
		return openMySQL, sqlsegment.MySQL
	}
	return openSQLite, sqlsegment.SQLite
}

// unreadable says what a DSN should look like. What a parser has to say may hold a part
// of a password.
func unreadable(engine, want string) error {
	return fmt.Errorf("the DSN cannot be read as one of %s, such as %s (in a URL, what is neither letter nor digit of a password is written %%XX)", engine, want)
}

func openPostgreSQL(dsn string, _ bool) (*sql.DB, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, unreadable("PostgreSQL", "postgres://user@host:5432/database")
	}
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, patience)
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "segmentguard"
	}
	return stdlib.OpenDB(*c), nil
}

// openMySQLURL opens what a URL names; the driver has a form of its own.
func openMySQLURL(dsn string, create bool) (*sql.DB, error) {
	const form = "mysql://user@host:3306/database"
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, unreadable("MySQL", form)
	}
	q := u.Query()
	network := "tcp(" + net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "3306")) + ")"
	if socket := q.Get("socket"); socket != "" {
		network = "unix(" + socket + ")"
		q.Del("socket")
	}
	password, _ := u.User.Password()
	c, err := mysql.ParseDSN(network + cmp.Or(u.EscapedPath(), "/") + "?" + q.Encode())
	if err != nil {
		return nil, unreadable("MySQL", form)
	}
	c.User, c.Passwd = u.User.Username(), password
	return openMySQL(c.FormatDSN(), create)
}

func openMySQL(dsn string, _ bool) (*sql.DB, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, unreadable("MySQL", "user:password@tcp(host:3306)/database")
	}
	if c.DBName == "" {
		return nil, errors.New("the DSN names no database; " + dsnForms)
	}
	c.Timeout = cmp.Or(c.Timeout, patience)
	c.Logger = &mysql.NopLogger{} // what it says is in the error, too
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("the DSN cannot be used: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// openSQLite opens a file. It does not make one, unless it may: a misspelled path must
// not read as a ledger in which all is well.
func openSQLite(dsn string, create bool) (*sql.DB, error) {
	if rest, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		dsn = strings.TrimPrefix(rest, "//")
	}
	path, query := dsn, ""
	if rest, ok := strings.CutPrefix(dsn, "file:"); ok {
		rest, query, _ = strings.Cut(rest, "?")
		rest, _, _ = strings.Cut(rest, "#")
		unescaped, err := url.PathUnescape(rest)
		if err != nil {
			return nil, unreadable("SQLite", "file:/path/of/the%20file.db")
		}
		path = unescaped
		if after, ok := strings.CutPrefix(path, "//"); ok { // file://localhost/path and file:///path
			path = strings.TrimPrefix(after, "localhost")
		}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s, which the DSN names; %s; segmentguard migrate makes an SQLite file", path, dsnForms)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, and no SQLite file", path)
	}
	if query != "" {
		query = "?" + query
	}
	return sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23").Replace(path)+query)
}

// passwords are what may be one in a DSN, whether it can be parsed or not.
var passwords = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^(?:\w+://)?[^:/@\n]*:(.*)@`),
	regexp.MustCompile(`(?i)(?:password|passwd|pwd|sslpassword)\s*=\s*'((?:[^'\\]|\\.)*)'`),
	regexp.MustCompile(`(?i)(?:password|passwd|pwd|sslpassword)\s*=\s*([^\s&']+)`),
}

// secrets returns the DSNs that were given, by flag or variable.
func (a *app) secrets() []string {
	return append([]string{a.dsn, a.env("SEGMENTGUARD_DSN")}, a.others...)
}

// redacted returns a text without the passwords of DSNs.
func (a *app) redacted(s string) string {
	for _, p := range passwords {
		for _, found := range p.FindAllStringSubmatch(strings.Join(a.secrets(), "\n"), -1) {
			secret := found[1]
			if len(secret) < 4 { // to cross out each of its letters would tell it
				continue
			}
			s = strings.ReplaceAll(s, secret, "xxxxx")
			if plain, err := url.PathUnescape(secret); err == nil {
				s = strings.ReplaceAll(s, plain, "xxxxx")
			}
			s = strings.ReplaceAll(s, url.QueryEscape(secret), "xxxxx")
		}
	}
	return s
}
