package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"

	"github.com/segmentguard/segmentguard/segment"
)

// interests is how many things the platform knows of a user.
const interests = 4

// A user has interests, as a vector of length 1.
type user struct {
	id       string
	interest [interests]float64
}

// An upload is a segment that a client brought: the size and the interest it is
// about are given.
type upload struct {
	id    segment.ID
	users int
	about int
}

// A world is the users, the uploaded segments and the nightly jobs of all site
// groups.
type world struct {
	users      int
	uploads    []upload
	copies     []segment.Job
	lookalikes []segment.Job          // some of copies
	similarity map[segment.ID]float64 // by lookalike: how like the seed its users are at least
	chained    []segment.Job          // copies of lookalikes
}

func id(group, name string) segment.ID { return segment.ID{SiteGroup: "site-" + group, Name: name} }

// full returns the world of the incident: 38 segments of four site groups, from 20 to
// 60,000 users, about 300,000 memberships.
func full() world {
	w := world{
		users: 70_000,
		uploads: []upload{
			{id("a", "cars"), 60_000, 0}, {id("a", "travel"), 14_100, 1}, {id("a", "sport"), 11_300, 2},
			{id("a", "phones"), 3_230, 3}, {id("a", "testers"), 20, 0},
			{id("b", "food"), 12_480, 1}, {id("b", "luxury"), 811, 0}, {id("b", "garden"), 2_390, 2},
			{id("c", "parents"), 10_470, 3}, {id("c", "pets"), 5_412, 1}, {id("c", "books"), 946, 2},
			{id("d", "games"), 6_120, 3}, {id("d", "music"), 4_610, 0}, {id("d", "health"), 139, 1},
		},
		copies: []segment.Job{
			segment.Copy(id("b", "cars"), id("a", "cars")),
			segment.Copy(id("c", "travel"), id("a", "travel")),
			segment.Copy(id("d", "sport"), id("a", "sport")),
			segment.Copy(id("a", "food"), id("b", "food")),
			segment.Copy(id("b", "parents"), id("c", "parents")),
			segment.Copy(id("c", "luxury"), id("b", "luxury")),
			segment.Copy(id("a", "pets"), id("c", "pets")),
			segment.Copy(id("d", "testers"), id("a", "testers")),
			segment.Copy(id("a", "games"), id("d", "games")),
			segment.Copy(id("b", "music"), id("d", "music")),
		},
	}
	w.extend("a", "luxury-like", id("c", "luxury"), 0.97) // copy → lookalike, from here on
	w.extend("b", "cars-like", id("b", "cars"), 0.975)
	w.extend("c", "travel-like", id("c", "travel"), 0.97)
	w.extend("d", "sport-like", id("d", "sport"), 0.965)
	w.extend("a", "phones-like", id("a", "phones"), 0.965) // lookalikes of uploads
	w.extend("b", "garden-like", id("b", "garden"), 0.97)
	w.extend("c", "books-like", id("c", "books"), 0.98)
	w.extend("d", "health-like", id("d", "health"), 0.995)
	for _, to := range []struct{ to, from, name string }{ // lookalike → copy
		{"b", "a", "luxury-like"}, {"a", "b", "cars-like"}, {"d", "c", "travel-like"},
		{"c", "d", "sport-like"}, {"c", "a", "phones-like"}, {"a", "c", "books-like"},
	} {
		w.chained = append(w.chained, segment.Copy(id(to.to, to.name), id(to.from, to.name)))
	}
	return w
}

func (w *world) extend(group, name string, seed segment.ID, similarity float64) {
	job := segment.Lookalike(id(group, name), seed)
	if w.similarity == nil {
		w.similarity = map[segment.ID]float64{}
	}
	w.lookalikes = append(w.lookalikes, job)
	w.similarity[job.To] = similarity
}

// jobs returns those of a night, each after those it reads from.
func (w *world) jobs() []segment.Job { return slices.Concat(w.copies, w.lookalikes, w.chained) }

// population makes the users, the same in every run.
func (w *world) population() []user {
	seed := rand.NewChaCha8([32]byte{'m', 'a', 'r', 'c', 'h'})
	random := rand.New(seed)
	people := make([]user, w.users)
	for i := range people {
		people[i] = user{id: uuid.Must(uuid.NewRandomFromReader(seed)).String(), interest: someInterests(random)}
	}
	return people
}

func someInterests(random *rand.Rand) (v [interests]float64) {
	length := 0.0
	for i := range v {
		v[i] = 0.05 + random.Float64()
		length += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(length)
	}
	return v
}

// members returns the users most interested in what the upload is about.
func (u *upload) members(people []user) []string {
	sorted := slices.SortedFunc(slices.Values(people), func(a, b user) int {
		return cmp.Compare(b.interest[u.about], a.interest[u.about])
	})
	ids := make([]string, u.users)
	for i := range ids {
		ids[i] = sorted[i].id
	}
	slices.Sort(ids)
	return ids
}
