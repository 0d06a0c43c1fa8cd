// Package browsertest holds the dashboard against a real browser: how pages look, how
// they are used with a keyboard, and what those hear who do not see them.
package browsertest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
)

// browser starts Chromium once for a test, and returns the context of its first tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		require.Empty(t, os.Getenv("CI"), "chromium is not installed: apt-get install --no-install-recommends chromium")
		t.Skip("chromium is not installed: apt-get install --no-install-recommends chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", false))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")), "starting %s", path)
	return ctx
}

// served serves the dashboard of a fleet below a prefix, as teams mount it.
func served(t *testing.T) (address string, f *fleettest.Fleet) {
	t.Helper()
	l := segment.NewMemory()
	f, err := fleettest.Fill(t.Context(), l)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/ops/segments/", dashboard.Handler(l, config(l, f)))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + "/ops/segments/", f
}

// A look is how a window looks at a page.
type look struct {
	name  string
	width int64
	dark  bool
}

var looks = []look{{"light-1400", 1400, false}, {"dark-1400", 1400, true}, {"light-390", 390, false}, {"dark-390", 390, true}}

// as sets the size and the colours of a window.
func (l look) as(ctx context.Context) error {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: l.width, Height: 1300, DeviceScaleFactor: 1, Mobile: l.width < 500,
	})
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
	}
	return err
}
