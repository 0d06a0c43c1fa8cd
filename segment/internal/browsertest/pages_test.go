package browsertest

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
)

// pages are the pages of the fleet that is served.
func pages(f *fleettest.Fleet) map[string]string {
	found := map[string]string{
		"fleet":    "",
		"filtered": "?kind=empty",
		"none":     "?kind=gap",
		"incident": "incident?id=" + url.QueryEscape(f.Sweep.Incidents[0].ID),
		"segment":  "segment?id=" + url.QueryEscape("site-b/cars"),
		"sized":    "segment?id=" + url.QueryEscape("site-d/boats"),
		"plan":     "plan",
		"log":      "log",
		"problem":  "nothing",
	}
	for i, id := range fleettest.Hostile {
		found["hostile-"+string(rune('a'+i))] = "segment?id=" + url.QueryEscape(id.String())
	}
	return found
}

// TestPages opens each page in light and dark, wide and narrow.
func TestPages(t *testing.T) {
	ctx := browser(t)
	base, f := served(t)
	for name, page := range pages(f) {
		for _, l := range looks {
			if strings.HasPrefix(name, "hostile") && l != looks[2] { // where there is the least room
				continue
			}
			t.Run(name+"/"+l.name, func(t *testing.T) {
				require.NoError(t, l.as(ctx))
				require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+page)))
				check(ctx, t, l)
				if !l.dark { // which changes no name
					checkNames(ctx, t)
				}
			})
		}
	}
}

// TestReport opens the file, which has everything on one page: what is on it has the
// names that it has on pages.
func TestReport(t *testing.T) {
	ctx := browser(t)
	path := filepath.Join(t.TempDir(), "report.html")
	file, err := os.Create(path)
	require.NoError(t, err)
	l := segment.NewMemory()
	f, err := fleettest.Fill(t.Context(), l)
	require.NoError(t, err)
	require.NoError(t, keepHalfway(t.Context(), l, f))
	require.NoError(t, dashboard.Write(t.Context(), file, l, config()))
	require.NoError(t, file.Close())
	for _, look := range []look{looks[0], looks[3]} {
		require.NoError(t, look.as(ctx))
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+path)))
		check(ctx, t, look)
	}
}

// check holds the page that is open against what any page must be.
func check(ctx context.Context, t *testing.T, l look) {
	t.Helper()
	seen, err := chromedp.Run(ctx, chromedp.Evaluate[facts](inspect))
	require.NoError(t, err)
	require.LessOrEqual(t, seen.Width, l.width, "the page is wider than the window: %s", strings.Join(seen.Wide, "; "))
	require.Equal(t, 1, seen.Headings["h1"], "h1")
	require.Empty(t, seen.Skipped, "a heading's level is left out")
	require.Zero(t, seen.Scripts, "scripts")
	require.Empty(t, seen.Loaded, "what else was loaded")
	require.Empty(t, seen.Faint, "texts that are hard to read on what is behind them")
	require.Empty(t, seen.Unstyled, "the policy kept the style away")
	require.Equal(t, l.dark, seen.Dark, "dark where people ask for it")
}

// facts are what a page is, as its own browser sees it.
type facts struct {
	Width    int64          `json:"width"`
	Wide     []string       `json:"wide"`
	Headings map[string]int `json:"headings"`
	Skipped  []string       `json:"skipped"`
	Scripts  int            `json:"scripts"`
	Loaded   []string       `json:"loaded"`
	Faint    []string       `json:"faint"`
	Unstyled string         `json:"unstyled"`
	Dark     bool           `json:"dark"`
}

//go:embed inspect.js
var inspect string

// named are the roles of what must have a name: whoever cannot see it hears no more.
var named = []string{
	"button", "link", "textbox", "combobox", "searchbox", "spinbutton", "checkbox", "image", "progressbar", "region", "search",
	"table", "DisclosureTriangle", "heading", "navigation", "Date", "DateTime", "InputTime", "meter", "figure",
}

// landmarks are what people jump to.
var landmarks = []string{"banner", "navigation", "main", "contentinfo"}

// checkNames reads the accessibility tree.
func checkNames(ctx context.Context, t *testing.T) {
	t.Helper()
	tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(t, err)
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role := word(t, n.Role)
		roles[role]++
		if slices.Contains(named, role) && role != "figure" {
			require.NotEmpty(t, strings.TrimSpace(word(t, n.Name)), "a %s without a name (node %s)", role, n.NodeID)
		}
	}
	for _, landmark := range landmarks {
		require.Positive(t, roles[landmark], "no %s", landmark)
	}
	require.Equal(t, 1, roles["main"])
	require.Equal(t, 1, roles["banner"])
	require.Positive(t, roles["link"], "the tree was read")
}

// word is a value of the tree as text.
func word(t *testing.T, v *accessibility.Value) string {
	t.Helper()
	if v == nil || len(v.Value) == 0 {
		return ""
	}
	var s string
	require.NoError(t, json.Unmarshal(v.Value, &s))
	return s
}

// TestCharts: what a chart shows is in its description and in a table beside it.
func TestCharts(t *testing.T) {
	ctx := browser(t)
	base, _ := served(t)
	for _, l := range looks {
		require.NoError(t, l.as(ctx))
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+"segment?id=site-b%2Fcars")))
		tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		require.NoError(t, err)
		var charts []string
		for _, n := range tree.Nodes {
			if n.Role != nil && !n.Ignored && word(t, n.Role) == "image" {
				charts = append(charts, word(t, n.Name))
			}
		}
		require.Len(t, charts, 1, "the one that fits the window, and no other")
		require.Contains(t, charts[0], "Sizes of site-b/cars")
		require.Contains(t, charts[0], "1 size rejected. The next may have")
	}
}

// TestFilters chooses with the mouse and with the keyboard, as people do.
func TestFilters(t *testing.T) {
	ctx := browser(t)
	base, _ := served(t)
	require.NoError(t, looks[0].as(ctx))
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base)))
	require.NoError(t, chromedp.Do(ctx, chromedp.SetValue(`select[name=kind]`, "empty")))
	page, err := chromedp.RunResponse(ctx, chromedp.Click(`form button`))
	require.NoError(t, err)
	require.EqualValues(t, 200, page.Status)
	require.Equal(t, []string{"empty"}, column(ctx, t, ".affected td:nth-child(4) b"))
	chosen, err := chromedp.Run(ctx, chromedp.Value(`select[name=kind]`))
	require.NoError(t, err)
	require.Equal(t, "empty", chosen, "the filter says what it is")

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+"log")))
	page, err = chromedp.RunResponse(ctx, chromedp.SendKeys(`input[name=segment]`, "site-b/cars"+kb.Enter))
	require.NoError(t, err)
	require.EqualValues(t, 200, page.Status)
	require.Equal(t, []string{"site-b/cars"}, column(ctx, t, "tbody td:nth-child(3)"))

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base), chromedp.KeyEvent(kb.Tab)))
	first, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.activeElement.textContent"))
	require.NoError(t, err)
	require.Equal(t, "Skip to the content", first)
}

// column is each text of a column once.
func column(ctx context.Context, t *testing.T, selector string) []string {
	t.Helper()
	texts, err := chromedp.Run(ctx, chromedp.Evaluate[[]string]("[...new Set([...document.querySelectorAll('"+selector+"')].map(e => e.textContent))]"))
	require.NoError(t, err)
	return texts
}

// TestHostile: no name of a segment becomes part of a page, or runs.
func TestHostile(t *testing.T) {
	ctx := browser(t)
	base, _ := served(t)
	for _, page := range []string{"", "?group=site-x", "log?group=site-x"} {
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+page)))
		found, err := chromedp.Run(ctx, chromedp.Evaluate[int]("document.querySelectorAll('main script, th b, td a b, [onmouseover]').length"))
		require.NoError(t, err)
		require.Zero(t, found)
	}
}
