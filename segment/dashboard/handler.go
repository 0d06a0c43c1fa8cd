package dashboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// Handler returns a handler that shows what a ledger knows. It is safe for
// concurrent use.
func Handler(l segment.Ledger, c Config) http.Handler {
	return &handler{newSource(l, c)}
}

type handler struct{ *source }

// policy lets pages have their own style, and nothing else: no scripts, no pictures or
// fonts from elsewhere, no frames around them.
const policy = "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pages are what stands after the last slash of a path.
var pages = map[string]func(*source, context.Context, url.Values) (any, error){
	"":         (*source).fleetPage,
	"segment":  (*source).segmentPage,
	"incident": (*source).incidentPage,
	"plan":     (*source).planPage,
	"log":      (*source).logPage,
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	headers := w.Header()
	headers.Set("Content-Security-Policy", fmt.Sprintf(policy, styleHash))
	headers.Set("X-Content-Type-Options", "nosniff")
	headers.Set("X-Frame-Options", "DENY")
	headers.Set("Referrer-Policy", "no-referrer")
	headers.Set("Cross-Origin-Opener-Policy", "same-origin")
	headers.Set("Cross-Origin-Resource-Policy", "same-origin")
	headers.Set("Cache-Control", "no-store")
	headers.Set("Content-Type", "text/html; charset=utf-8")
	var status int
	var body []byte
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status, body = h.page(r)
	} else {
		headers.Set("Allow", "GET, HEAD")
		status, body = h.problem(&problem{http.StatusMethodNotAllowed, "These pages change nothing", errors.New("only GET and HEAD are answered")})
	}
	if status == http.StatusServiceUnavailable {
		headers.Set("Retry-After", "10")
	}
	headers.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // html/template escaped it; who asked may be gone
	}
}

// page makes a page, or the one that says why there is none.
func (h *handler) page(r *http.Request) (status int, body []byte) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), h.config.timeout(), errors.New("the ledger took longer than "+h.config.timeout().String()))
	defer cancel()
	body, err := h.made(ctx, r.URL)
	if err == nil {
		return http.StatusOK, body
	}
	if cause := context.Cause(ctx); cause != nil {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return h.problem(err)
}

func (h *handler) made(ctx context.Context, u *url.URL) ([]byte, error) {
	name := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	read, ok := pages[name]
	if !ok {
		return nil, &problem{http.StatusNotFound, "There is no such page", fmt.Errorf("no page %q", name)}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, &problem{http.StatusBadRequest, "The address is not one of these pages'", err}
	}
	view, err := read(h.source, ctx, query)
	if err != nil {
		return nil, err
	}
	return render(templateOf(name), view)
}

func templateOf(name string) string {
	if name == "" {
		return "fleet"
	}
	return name
}

// A problem is why there is no page.
type problem struct {
	Status int
	Title  string
	Err    error
}

func (p *problem) Error() string { return p.Title + ": " + p.Err.Error() }
func (p *problem) Unwrap() error { return p.Err }

func badRequest(name, value string) error {
	return &problem{http.StatusBadRequest, "The address is not one of these pages'", fmt.Errorf("%s is %q", name, value)}
}

func notFound(what, name string) error {
	return &problem{http.StatusNotFound, "The ledger knows of no such " + what, fmt.Errorf("no %s %s", what, text.Printable(name))}
}

// parsePlace reads where a table goes on from an address.
func parsePlace(value string) (*fleet.Place, error) {
	p, err := fleet.ParsePlace(value)
	if err != nil {
		return nil, badRequest("after", value)
	}
	return p, nil
}

// parseID reads an id from an address.
func parseID(name, value string) (segment.ID, error) {
	id, err := segment.ParseID(value)
	if err != nil {
		return id, badRequest(name, value)
	}
	return id, nil
}

// problem makes the page that says why there is none. It must not read as if all
// were well.
func (h *handler) problem(err error) (status int, body []byte) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{http.StatusInternalServerError, "The ledger could not be read", err}
		if errors.Is(err, segment.ErrBusy) || errors.Is(err, segment.ErrNotReady) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			p.Status = http.StatusServiceUnavailable
		}
	}
	body, failed := render("problem", h.problemView(p))
	if failed != nil {
		return http.StatusInternalServerError, []byte("The ledger could not be read, nor this be said better.")
	}
	return p.Status, body
}

// render makes a page whole: an error amid it leaves nothing to send.
func render(name string, view any) ([]byte, error) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, view); err != nil {
		return nil, fmt.Errorf("making the page: %w", err)
	}
	return b.Bytes(), nil
}
