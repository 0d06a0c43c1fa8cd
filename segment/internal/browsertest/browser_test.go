// Package browsertest holds the dashboard against a real browser: how pages look, how
// they are used with a keyboard, and what those hear who do not see them.
package browsertest

import (
	"cmp"
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
)

// Chromium is started once; each test has a tab of its own.
var (
	start    sync.Once
	chromium context.Context
	failed   error
)

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	if chromium != nil {
		_ = chromedp.Cancel(chromium) // it ends with us
	}
	os.Exit(status)
}

// installed is where Chromium is, or "".
func installed() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	return ""
}

// browser returns the context of a new tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := installed()
	if path == "" {
		const how = "chromium is not installed: apt-get install --no-install-recommends chromium"
		require.Empty(t, os.Getenv("CI"), how)
		t.Skip(how)
	}
	start.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", false))
		allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
		chromium, _ = chromedp.NewContext(allocator) //nolint:fatcontext // one browser for all tests
		failed = chromedp.Do(chromium, chromedp.Navigate("about:blank"))
	})
	require.NoError(t, failed, "starting %s", path)
	ctx, stop := chromedp.NewContext(chromium)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	return ctx
}

// served serves the dashboard of a fleet below a prefix, as teams mount it.
func served(t *testing.T) (address string, f *fleettest.Fleet) {
	t.Helper()
	l := segment.NewMemory()
	f, err := fleettest.Fill(t.Context(), l)
	require.NoError(t, err)
	require.NoError(t, keepHalfway(t.Context(), l, f))
	mux := http.NewServeMux()
	mux.Handle("/ops/segments/", dashboard.Handler(l, config()))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + "/ops/segments/", f
}

// A look is how a window looks at a page.
type look struct {
	name   string
	width  int64
	dark   bool
	height int64 // 0: 1,300
}

var looks = []look{
	{name: "light-1400", width: 1400}, {name: "dark-1400", width: 1400, dark: true},
	{name: "light-390", width: 390}, {name: "dark-390", width: 390, dark: true},
}

// as sets the size and the colours of a window.
func (l look) as(ctx context.Context) error {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: l.width, Height: cmp.Or(l.height, 1300), DeviceScaleFactor: 1, Mobile: l.width < 500,
	})
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
	}
	return err
}
