package validate

import (
	"fmt"
	"strings"
)

// guess tells the causes that the samples make likely, and how likely chance is
// to look like them. That users are repeated is no guess: each sampled one is.
func (d *mismatch) guess(c *comparison) (causes []cause) {
	if c.absent < len(c.users) { // else there is nothing that anything could be lost from
		causes = d.lost(c)
	}
	if c.repeated > 0 {
		causes = append(causes, cause{kind: Repeated, detail: c.share(int64(c.repeated), int64(len(c.users)), d.source.users) + " are " + d.verb + " more often than the source has them"})
	}
	return causes
}

// lost tells of users missing one after the other.
func (d *mismatch) lost(c *comparison) (causes []cause) {
	missing, chance := unlikely(c.gaps(), int64(len(c.users)))
	if n := len(missing); n > 0 && missing[n-1].to == int64(len(c.users)) {
		causes = append(causes, d.cutAt(c, missing[n-1], chance))
		missing = missing[:n-1]
	}
	if len(missing) == 0 {
		return causes
	}
	what := "a run of users is"
	if len(missing) > 1 {
		what = "runs of users are"
	}
	for i, r := range missing {
		missing[i] = run{from: c.users[r.from].first, to: c.users[r.to-1].first + 1}
	}
	detail := fmt.Sprintf("likely %s missing, all sampled ones within users %s of the source (by chance: %s)", what, places(missing), chance)
	if c.whole {
		detail = list(missing) + " missing"
	}
	return append(causes, cause{kind: Gap, detail: detail})
}

// cutAt tells of a lost end: at the very number of users that are there, where
// nothing else was lost, and else at about the last sampled user that is there.
func (d *mismatch) cutAt(c *comparison, end run, chance luck) cause {
	at, about := c.users[end.from-1].first+1, "about " // not all are missing
	if at <= d.users && d.users <= c.users[end.from].first && c.surplus == 0 && int64(c.absent) == end.users() {
		at, about = d.users, ""
	}
	if c.whole {
		return cause{Truncated, fmt.Sprintf("nothing after the first %s of %s", thousands(at), counted(d.source.users, "user")), at}
	}
	return cause{Truncated, fmt.Sprintf("likely nothing after %sthe first %s of %s: of %s there none is %s (by chance: %s)",
		about, thousands(at), counted(d.source.users, "user"), counted(end.users(), "sampled one"), d.verb, chance), at}
}

// share says how many of so many users, exactly where all were looked at.
func (c *comparison) share(found, of, users int64) string {
	if c.whole {
		return counted(found, "user")
	}
	share := percent(float64(min(found, of)), float64(of))
	if !strings.HasPrefix(share, "under") {
		share = "about " + share
	}
	return fmt.Sprintf("%s of %s (%s of %s sampled)", share, counted(users, "user"), thousands(found), thousands(of))
}
