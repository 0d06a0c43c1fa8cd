package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
)

var errNotInstalled = errors.New("redis-server is not installed: apt-get install redis-server, or set REDIS_URL, as in redis://localhost:6379/0")

// connect returns how to reach the Redis at url or, without one, a redis-server that
// it starts, and that stop ends.
func connect(ctx context.Context, url string) (options *redis.Options, stop func() error, err error) {
	if url != "" {
		options, err := redis.ParseURL(url)
		return options, func() error { return nil }, err
	}
	socket, stop, err := serve(ctx)
	return &redis.Options{Network: "unix", Addr: socket}, stop, err
}

// serve starts a redis-server that keeps all in memory and listens on a socket in a
// temporary folder. It ends with stop, and with this process however that ends.
func serve(ctx context.Context) (socket string, stop func() error, err error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, errNotInstalled
	}
	folder, err := os.MkdirTemp("", "redis")
	if err != nil {
		return "", nil, err
	}
	socket = filepath.Join(folder, "socket")
	ctx = context.WithoutCancel(ctx) // stop ends it
	server := exec.CommandContext(ctx, "sh", "-c", `"$@" >&2 & cat >/dev/null; kill -KILL $!; wait`, "sh",
		binary, "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "", "--appendonly", "no")
	input, err := server.StdinPipe()
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(folder))
	}
	stop = func() error {
		err := input.Close()
		_ = server.Wait() // it was killed
		return errors.Join(err, os.RemoveAll(folder))
	}
	if err := server.Start(); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := answers(ctx, socket); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return socket, stop, nil
}

// answers waits until the server does.
func answers(ctx context.Context, socket string) (err error) {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: -1})
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
