// Package audiencetest has an audience API as advertisers have them, as a real HTTP
// server: it takes users in by batches, answers 200 with errors for some of them,
// processes for hours, and rounds or withholds sizes.
package audiencetest

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// A Server is an audience API. Its fields say how it behaves, and may be changed under
// Do. Use it as an http.Handler.
//
//	POST   /audiences/NAME/users {"replace": true, "add": […], "remove": […]}
//	       200 {"received": n, "invalid": k}: the next batch without replace adds to this one
//	GET    /audiences/NAME       200 {"low": n, "high": m, "complete_up_to": t}
//	POST   /audiences/NAME/match {"users": […]}: 200 {"low": n, "high": m}, who of them is there
type Server struct {
	Now      func() time.Time
	Takes    time.Duration     // to process what was uploaded
	Rounds   int64             // sizes, down to a multiple of so many; 0: not
	Withhold int64             // sizes below this number; 0: none
	Loses    func(string) bool // whom it loses while it processes, and says nothing
	Invalid  func(string) bool // whom it refuses, in an answer of 200
	Dated    bool              // it says up to when its answers are complete
	Dead     bool              // it answers 503
	Hangs    bool              // it does not answer at all

	mu        sync.Mutex
	audiences map[string]*audience
}

// batch is the most users that one call may bring.
const batch = 1000

type audience struct {
	users   map[string]bool
	pending []upload // in order
	done    time.Time
}

type upload struct {
	Replace bool     `json:"replace"`
	Add     []string `json:"add"`
	Remove  []string `json:"remove"`

	at time.Time
}

// Do changes how the server behaves.
func (s *Server) Do(change func(*Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	dead, hangs := s.Dead, s.Hangs
	s.mu.Unlock()
	if hangs {
		_, _ = io.Copy(io.Discard, r.Body) // or it does not hear that the client is gone
		<-r.Context().Done()
		return
	}
	if dead {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /audiences/{name}/users", s.upload)
	mux.HandleFunc("POST /audiences/{name}/match", s.match)
	mux.HandleFunc("GET /audiences/{name}", s.size)
	mux.ServeHTTP(w, r)
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	var u upload
	if err := json.NewDecoder(r.Body).Decode(&u); err != nil || len(u.Add)+len(u.Remove) > batch {
		http.Error(w, "want at most 1,000 users", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	invalid := 0
	var valid []string
	for _, user := range u.Add {
		if s.Invalid != nil && s.Invalid(user) {
			invalid++
			continue
		}
		valid = append(valid, user)
	}
	u.Add, u.at = valid, s.Now()
	a := s.audience(r.PathValue("name"))
	a.pending = append(a.pending, u)
	answer(w, map[string]any{"received": len(valid), "invalid": invalid})
}

func (s *Server) size(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.audience(r.PathValue("name"))
	about := s.about(int64(len(a.users)))
	if s.Dated {
		about["complete_up_to"] = a.done
		if len(a.pending) == 0 {
			about["complete_up_to"] = s.Now()
		}
	}
	answer(w, about)
}

func (s *Server) match(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Users []string `json:"users"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, n := s.audience(r.PathValue("name")), int64(0)
	for _, user := range asked.Users {
		if a.users[user] {
			n++
		}
	}
	answer(w, s.about(n))
}

// about says what the server tells of a number.
func (s *Server) about(n int64) map[string]any {
	low, high := n, n
	if s.Rounds > 0 {
		low = n / s.Rounds * s.Rounds
		high = low + s.Rounds - 1
	}
	if n < s.Withhold {
		low, high = 0, s.Withhold-1
	}
	return map[string]any{"low": low, "high": high}
}

// audience returns an audience with all that is processed by now.
func (s *Server) audience(name string) *audience {
	if s.audiences == nil {
		s.audiences = map[string]*audience{}
	}
	a := s.audiences[name]
	if a == nil {
		a = &audience{users: map[string]bool{}}
		s.audiences[name] = a
	}
	for len(a.pending) > 0 && !s.Now().Before(a.pending[0].at.Add(s.Takes)) {
		u := a.pending[0]
		a.pending, a.done = a.pending[1:], u.at
		if u.Replace {
			clear(a.users)
		}
		for _, user := range u.Remove {
			delete(a.users, user)
		}
		for _, user := range u.Add {
			if s.Loses == nil || !s.Loses(user) {
				a.users[user] = true
			}
		}
	}
	return a
}

func answer(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // of a client that is gone
}
