package alertmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/retry"
)

const (
	timeout     = 10 * time.Second
	listTimeout = time.Minute // Alertmanager makes a list of all alerts before it sends the first
	maxShown    = 512         // bytes of what went wrong
)

// tries are at most 4 and wait some 7 seconds in all: the same alert twice is one
// alert.
var tries = retry.Policy{Tries: 4, Wait: time.Second, Retryable: passing}

// ask sends a request, several times if Alertmanager is out of reach or out of
// order, and calls read with what it answers, once. A nil read wants no answer.
func (a *Alerter) ask(ctx context.Context, method, query string, body []byte, read func(io.Reader) error) error {
	err := tries.Do(ctx, func() error { return a.try(ctx, method, query, body, read) })
	if err != nil {
		return fmt.Errorf("alertmanager: %s %s: %w", method, a.alerts, because(ctx, err))
	}
	return nil
}

// try sends a request once.
func (a *Alerter) try(ctx context.Context, method, query string, body []byte, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wait := timeout
	if read != nil {
		wait = listTimeout
	}
	late := time.AfterFunc(wait, func() { cancel(fmt.Errorf("no answer within %s", wait)) })
	defer late.Stop()
	address := *a.alerts
	address.RawQuery = query
	request, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if a.user != nil {
		password, _ := a.user.Password()
		request.SetBasicAuth(a.user.Username(), password)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return because(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, maxShown+1))
		return &statusError{response.StatusCode, response.Status, shown(answer)}
	}
	if read == nil {
		return nil
	}
	if err := read(&answer{response.Body, late, wait}); err != nil {
		return &readError{because(ctx, err)}
	}
	return nil
}

// An answer is what Alertmanager answers with. It must go on within a time,
// however long its reader takes in between.
type answer struct {
	body io.Reader
	late *time.Timer
	wait time.Duration
}

func (a *answer) Read(p []byte) (int, error) {
	a.late.Reset(a.wait)
	defer a.late.Stop()
	return a.body.Read(p)
}

// A readError is why an answer was not read to its end. Some of it was, so it is
// not asked for again.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

// because adds why the context ended, where that is what went wrong.
func because(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// shown is the beginning of an answer, on one line.
func shown(answer []byte) string {
	text := string(answer[:min(len(answer), maxShown)])
	if len(answer) > maxShown {
		text += "…"
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " ")
}

// A statusError is an answer that is not 200.
type statusError struct {
	code         int
	status, text string
}

func (e *statusError) Error() string {
	if e.text == "" {
		return "answered " + e.status
	}
	return "answered " + e.status + ": " + e.text
}

// passing reports whether trying again may help: the server said that it is out
// of order, or nothing.
func passing(err error) bool {
	if _, begun := errors.AsType[*readError](err); begun {
		return false
	}
	status, ok := errors.AsType[*statusError](err)
	return !ok || status.code >= http.StatusInternalServerError
}

// refused reports whether Alertmanager refused some alerts.
func refused(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.code == http.StatusBadRequest
}
