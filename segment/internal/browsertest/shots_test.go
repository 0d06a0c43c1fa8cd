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

// picture is where the picture of the README goes.
var picture = flag.String("picture", "", "a file for the picture of the README; empty: none is taken")

func TestPicture(t *testing.T) {
	if *picture == "" {
		t.Skip("no -picture")
	}
	ctx := browser(t)
	base, _ := served(t)
	require.NoError(t, look{width: 1100}.as(ctx))
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+"segment?id=site-b%2Fcars")))
	height, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("Math.ceil(document.querySelector('figure').getBoundingClientRect().bottom) + 16"))
	require.NoError(t, err)
	require.NoError(t, look{width: 1100, height: height}.as(ctx))
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.Less(t, len(png), 150_000)
	require.NoError(t, os.WriteFile(*picture, png, 0o600))
}

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
