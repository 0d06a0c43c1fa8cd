package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

//go:embed page
var files embed.FS

var (
	style     = mustRead("page/style.css")
	styleHash = hashOf(style)
	templates = template.Must(template.New("").Funcs(template.FuncMap{
		"visible": text.Visible,
		"count":   text.Count[int],
		"number":  func(n int) string { return text.Thousands(int64(n)) },
		"heading": func(static bool, text, id string) heading { return heading{static, text, id} },
		"rows":    func(caption string, rows []entryRow, named bool) entryTable { return entryTable{caption, rows, named} },
	}).ParseFS(files, "page/*.html"))
)

func mustRead(name string) string {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(b)
}

// hashOf returns what a content security policy knows a style by.
func hashOf(style string) string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// A source is what pages are made from.
type source struct {
	ledger   segment.Ledger
	config   Config
	commands commands
	judge    *fleet.Judge
	links    links
	static   bool
}

func newSource(l segment.Ledger, c Config) *source {
	return &source{ledger: l, config: c, commands: commands(c.Command), judge: fleet.NewJudge(), links: live{}}
}

// links are the addresses of pages; "" where there is no such page.
type links interface {
	fleet(f fleet.Filter, after string) string
	segment(key segment.Key) string
	incident(id, after string) string
	plan(name string, from int) string
	log(f logFilter, limit int) string
}

// live links are relative, so that they hold below any prefix.
type live struct{}

func address(page string, pairs ...string) string {
	query := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if name, value := pair[0], pair[1]; value != "" {
			query.Set(name, value)
		}
	}
	if len(query) > 0 {
		return page + "?" + query.Encode()
	}
	return page
}

func (live) fleet(f fleet.Filter, after string) string {
	return address("./", "group", f.SiteGroup, "kind", string(f.Kind), "job", string(f.JobKind), "build", f.Build, "after", after)
}

func (live) segment(key segment.Key) string {
	if key.Segment.IsZero() {
		return ""
	}
	return address("segment", "id", key.Segment.String(), "store", key.Store)
}

func (live) incident(id, after string) string { return address("incident", "id", id, "after", after) }

func (live) plan(name string, from int) string {
	if from == 0 {
		return address("plan", "name", name)
	}
	return address("plan", "name", name, "from", strconv.Itoa(from))
}

// A common is what every page has.
type common struct {
	Title   string
	Current string // which link of the navigation is this page's
	Static  bool
	Made    stamp
	Style   template.CSS
	Hash    string
	Nav     []navLink
}

type navLink struct{ Name, Text, URL string }

func (s *source) common(title, current string) common {
	return common{
		Title: title, Current: current, Static: s.static,
		Made:  newStamp(s.config.now(), s.config.now()),
		Style: template.CSS(style), Hash: styleHash, //nolint:gosec // it is embedded
		Nav: []navLink{
			{"fleet", "Fleet", s.links.fleet(fleet.Filter{}, "")},
			{"plan", "Reruns", s.links.plan("", 0)},
			{"log", "Log", s.links.log(logFilter{}, 0)},
		},
	}
}

// A heading is a heading of a page, or of a part of the file, where it stands one
// level lower: there is one h1.
type heading struct {
	Static   bool
	Text, ID string
}

// An entryTable is entries of the log as a table.
type entryTable struct {
	Caption string
	Rows    []entryRow
	Named   bool // with the segment of each
}

func (s *source) stamp(t time.Time) stamp { return newStamp(t, s.config.now()) }

func (s *source) ref(key segment.Key) ref { return refTo(key.String(), s.links.segment(key)) }

// A problemView is the page that says why there is no other.
type problemView struct {
	common

	Status int
	Text   string
	Check  []command
}

func (h *handler) problemView(p *problem) *problemView {
	v := &problemView{common: h.common(p.Title, ""), Status: p.Status, Text: text.Visible(p.Err.Error())}
	if p.Status >= 500 {
		v.Check = []command{h.commands.of("asks the ledger how it is", "", "check")}
	}
	return v
}
