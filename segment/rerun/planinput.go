package rerun

import (
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/segment"
)

// namesOf are the names of all jobs.
func namesOf(jobs []segment.Job) iter.Seq[*string] {
	return func(yield func(*string) bool) {
		for i := range jobs {
			if !yield(&jobs[i].ID) {
				return
			}
		}
	}
}

// idsOf are, for each job, what it writes and then what it reads; and at the end
// what is affected.
func idsOf(jobs []segment.Job, affected []segment.Affected) iter.Seq[*segment.ID] {
	return func(yield func(*segment.ID) bool) {
		for i := range jobs {
			if !yield(&jobs[i].To) {
				return
			}
			for k := range jobs[i].From {
				if !yield(&jobs[i].From[k]) {
					return
				}
			}
		}
		for i := range affected {
			if !yield(&affected[i].Segment) {
				return
			}
		}
	}
}

// hashing hashes keys, and checks them too, while they are at hand.
func hashing[K comparable](check func(*K) bool, sound *bool) func() func(*K) uint64 {
	return func() func(*K) uint64 {
		seed := maphash.MakeSeed()
		return func(key *K) uint64 {
			if !check(key) {
				*sound = false
			}
			return maphash.Comparable(seed, *key)
		}
	}
}

// inputProblem is the first thing that is wrong with the input. sound says that the
// names in it are right.
func inputProblem(jobs []segment.Job, affected []segment.Affected, sound bool) error {
	for i := range jobs {
		if j := &jobs[i]; !sound || !utf8.ValidString(string(j.Kind)) {
			if err := checkJob(j, i); err != nil {
				return err
			}
		}
	}
	for i := range affected {
		if err := checkAffected(&affected[i], i); err != nil {
			return err
		}
	}
	return nil
}

// eachOnce drops jobs that are given again.
func eachOnce(jobs []segment.Job) ([]segment.Job, error) {
	places := make(map[string]int, len(jobs))
	var kept []segment.Job
	for i := range jobs {
		j := &jobs[i]
		place, known := places[j.ID]
		switch {
		case !known:
			places[j.ID] = i
			kept = append(kept, *j)
		case !sameJob(j, &jobs[place]):
			return nil, badInput(fmt.Sprintf("jobs[%d].ID", i), fmt.Sprintf("%q, as that of jobs[%d]", j.ID, place), "another name, as the jobs differ")
		}
	}
	return kept, nil
}

func sameJob(a, b *segment.Job) bool {
	return a.ID == b.ID && a.Kind == b.Kind && a.To == b.To && a.Priority == b.Priority && slices.Equal(a.From, b.From)
}

// problem is what keeps a job from being planned, at its place in the input.
func checkJob(j *segment.Job, place int) error {
	field := func(name string) string { return fmt.Sprintf("jobs[%d].%s", place, name) }
	switch {
	case !isName(&j.ID):
		return badInput(field("ID"), strconv.Quote(j.ID), "a name for the job, in UTF-8")
	case !utf8.ValidString(string(j.Kind)):
		return badInput(field("Kind"), strconv.Quote(string(j.Kind)), "UTF-8")
	case !plannable(&j.To):
		return idProblem(field("To"), j.To)
	}
	for i := range j.From {
		if from := &j.From[i]; !plannable(from) {
			return idProblem(fmt.Sprintf("%s[%d]", field("From"), i), *from)
		}
	}
	return nil
}

func checkAffected(a *segment.Affected, place int) error {
	if !plannable(&a.Segment) {
		return idProblem(fmt.Sprintf("affected[%d].Segment", place), a.Segment)
	}
	if a.Users < 0 {
		return badInput(fmt.Sprintf("affected[%d].Users", place), a.Users, "0 or more")
	}
	return nil
}

func isName(s *string) bool { return *s != "" && utf8.ValidString(*s) }

// plannable reports whether the id names a segment and can be written as JSON.
func plannable(id *segment.ID) bool { return isName(&id.Name) && utf8.ValidString(id.SiteGroup) }

func idProblem(field string, id segment.ID) error {
	return badInput(field, strconv.Quote(id.String()), "a segment with a name, in UTF-8")
}
