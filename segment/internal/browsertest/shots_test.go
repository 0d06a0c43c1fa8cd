package browsertest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// shots is where pictures go, for whoever changes how pages look.
var shots = flag.String("shots", "", "a folder for pictures of all pages; empty: none are taken")

func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots")
	}
	require.NoError(t, os.MkdirAll(*shots, 0o755))
	ctx := browser(t)
	base, f := served(t)
	for name, page := range pages(f) {
		for _, l := range looks {
			require.NoError(t, l.as(ctx))
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+page)))
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(*shots, name+"-"+l.name+".png"), png, 0o600))
		}
	}
}
