package alertmanager

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/validate"
)

// A Config says where the Alertmanager is.
type Config struct {
	// URL is the Alertmanager's address, with its route prefix if it has one:
	// "http://alertmanager:9093". A user and password in it are sent as basic
	// authentication. Required.
	URL string
	// Client sends the requests, each within ten seconds. It follows no
	// redirects: a redirected post arrives as a question, and is answered well.
	// nil: one with the default transport.
	Client *http.Client
	// Labels are added to every alert, and only alerts that have them, and no
	// others beside the package's own, are listed and resolved.
	Labels map[string]string
	// GroupWait is the route's group_wait, in which an incident that forms takes
	// in what was told before. Zero: 1 minute.
	GroupWait time.Duration
}

// New returns an Alerter, or a *validate.InputError about what is wrong with the
// config. It does not ask whether the Alertmanager is there.
func New(c Config) (*Alerter, error) {
	address, err := parse(c.URL)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		if err := labelProblem(name, c.Labels[name]); err != nil {
			return nil, err
		}
	}
	if c.GroupWait < 0 {
		return nil, badInput("Config.GroupWait", c.GroupWait, "above 0, or 0 for 1 minute")
	}
	client := http.Client{}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	user := address.User
	address.User = nil // where it is not, no error can show it
	return &Alerter{
		client: &client,
		alerts: address.JoinPath("api", "v2", "alerts"),
		user:   user,
		labels: maps.Clone(c.Labels),
		wait:   cmp.Or(c.GroupWait, time.Minute) / 2,
	}, nil
}

// parse never shows what may be a password: neither what url.Parse says, nor
// what stands before an "@".
func parse(address string) (*url.URL, error) {
	const want = "an address such as http://alertmanager:9093"
	shown := address
	if at := strings.LastIndex(address, "@"); at >= 0 {
		shown = "…" + address[at:]
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, badInput("Config.URL", shown, want)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, badInput("Config.URL", shown, want)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, badInput("Config.URL", shown, want+", without a query or fragment")
	}
	return u, nil
}

func labelProblem(name, value string) error {
	field := "Config.Labels[" + name + "]"
	switch {
	case !isLabelName(name):
		return badInput("Config.Labels", name, "names of letters, digits and _, not beginning with a digit or with __")
	case slices.Contains(ownLabels, name):
		return badInput(field, value, "another name: alerts have this label already")
	case value == "" || !utf8.ValidString(value):
		return badInput(field, value, "UTF-8 text; leave out what is empty")
	}
	return nil
}

func isLabelName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != "" && !strings.HasPrefix(name, "__")
}

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
