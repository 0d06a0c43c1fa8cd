package validate

import (
	"cmp"
	"fmt"
	"slices"
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
	found, chance := c.stretches()
	slices.SortFunc(found, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	var gaps []run
	for _, s := range found {
		if s.to == len(c.users) {
			causes = append(causes, d.cutAt(c, s, chance))
			continue
		}
		gaps = append(gaps, run{from: c.users[s.from].first, to: c.users[s.to-1].first + 1})
	}
	if len(gaps) > 0 {
		causes = append(causes, cause{kind: Gap, detail: fmt.Sprintf("likely a run of users is missing, all sampled ones within users %s of the source (by chance: %s)", list(gaps), chance)})
	}
	return causes
}

// cutAt tells of a lost end: at the very number of users that are there, where
// nothing else was lost, and else at about the last sampled user that is there.
func (d *mismatch) cutAt(c *comparison, s stretch, chance luck) cause {
	at, about := int64(0), "about "
	if s.from > 0 {
		at = c.users[s.from-1].first + 1
	}
	if at <= d.users && d.users <= c.users[s.from].first && c.surplus == 0 && c.absent == s.to-s.from {
		at, about = d.users, ""
	}
	return cause{Truncated, fmt.Sprintf("likely nothing after %sthe first %s of %s: of %s there none is %s (by chance: %s)",
		about, thousands(at), counted(d.source.users, "user"), counted(s.users(), "sampled one"), d.verb, chance), at}
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

func sortStretches(all []stretch) {
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Or(cmp.Compare(b.users(), a.users()), cmp.Compare(a.from, b.from)) })
}
