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
	timeout   = 10 * time.Second
	maxAnswer = 16 << 20 // bytes; the alerts of one segment are a few thousand
	maxShown  = 512      // bytes of what went wrong
)

var errTimeout = errors.New("no answer within " + timeout.String())

// tries are at most 4 and wait some 7 seconds in all: the same alert twice is one
// alert.
var tries = retry.Policy{Tries: 4, Wait: time.Second, Retryable: passing}

// ask sends a request, several times if Alertmanager is out of reach or out of
// order.
func (a *Alerter) ask(ctx context.Context, method, query string, body []byte) (answer []byte, err error) {
	err = tries.Do(ctx, func() (err error) {
		answer, err = a.try(ctx, method, query, body)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %s %s: %w", method, a.alerts, because(ctx, err))
	}
	return answer, nil
}

// try sends a request once.
func (a *Alerter) try(ctx context.Context, method, query string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	address := *a.alerts
	address.RawQuery = query
	request, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if a.user != nil {
		password, _ := a.user.Password()
		request.SetBasicAuth(a.user.Username(), password)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, because(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, &statusError{response.StatusCode, response.Status, shown(answer)}
	case err != nil:
		return nil, because(ctx, err)
	case len(answer) > maxAnswer:
		return nil, &statusError{response.StatusCode, response.Status, fmt.Sprintf("the answer is longer than %d bytes", maxAnswer)}
	}
	return answer, nil
}

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
	status, ok := errors.AsType[*statusError](err)
	return !ok || status.code >= http.StatusInternalServerError
}

// refused reports whether Alertmanager refused some alerts.
func refused(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.code == http.StatusBadRequest
}
