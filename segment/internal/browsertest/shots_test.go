package browsertest

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// shots is where screenshots go, for whoever changes how pages look.
var shots = flag.String("shots", "", "a folder for screenshots of all pages; empty: none are taken")

// pagesOf are the pages of a fleet, by a name.
func pagesOf(incident string) map[string]string {
	return map[string]string{
		"fleet":    "",
		"filtered": "?kind=empty",
		"incident": "incident?id=" + url.QueryEscape(incident),
		"segment":  "segment?id=" + url.QueryEscape("site-b/cars"),
		"plan":     "plan",
		"log":      "log",
		"problem":  "nothing",
	}
}

func TestScreenshots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots")
	}
	require.NoError(t, os.MkdirAll(*shots, 0o755))
	ctx := browser(t)
	base, f := served(t)
	for name, page := range pagesOf(f.Sweep.Incidents[0].ID) {
		for _, l := range looks {
			require.NoError(t, l.as(ctx))
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+page)))
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(*shots, name+"-"+l.name+".png"), png, 0o600))
		}
	}
}
