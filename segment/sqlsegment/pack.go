package sqlsegment

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// The state of a segment, but for its alert, is packed into one column of one row:
// reading 60 rows a segment takes ten times as long. Numbers are varints, of sizes
// and times the difference to the one before, times in microseconds since 1970.

// The versions of the form, its first byte. A program reads those that it knows,
// and writes the last.
const (
	packed1 = 1 // Accepted begins with a run, and RunPassed was called "accepted"
	packed2 = 2 // without numbers
	packed3 = 3 // without a checksum
	packed4 = 4 // without levels, candidates, excuses and runs; the flags are one byte
	packed5 = 5
)

// checksumSize is the size of the checksum that ends the form: a bit that flipped may
// leave what can be read, and is another number of users.
const checksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// unseal returns what is before the checksum, if that is right.
func unseal(data []byte) ([]byte, error) {
	n := len(data) - checksumSize
	if n < 0 {
		return nil, errCut
	}
	if crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return nil, errors.New("its checksum is of something else")
	}
	return data[:n], nil
}

const (
	withLast int64 = 1 << iota
	withAccepted
	withLive
	lastIsLive // Last.Live; from packed2 on
	lastOverlapped
	lastSettled
	withCandidates // from packed5 on
	withExcuses
	withRuns
	withSubmitted // from version 11 of the schema on
)

// pack writes s, but for its segment and its alert, which have columns of their own.
func pack(s *segment.SegmentState) []byte {
	p := packer{counters: map[string]int64{}}
	for _, sizes := range [][]validate.Size{s.Sizes, s.Candidates} {
		for i := range sizes {
			p.counter(sizes[i].Counter)
		}
	}
	last := withoutReport(s.Last)
	flags := flagsOf(s, &last)
	p.data = append(make([]byte, 0, 64+12*len(s.Sizes)), packed5)
	p.int(flags)
	p.int(int64(len(p.names)))
	for _, name := range p.names {
		p.text(name)
	}
	p.sizes(s.Sizes)
	if flags&withCandidates != 0 {
		p.sizes(s.Candidates)
	}
	if flags&withExcuses != 0 {
		p.json(s.Excuses)
	}
	if flags&withRuns != 0 {
		p.runs(&s.Runs)
	}
	if flags&withLast != 0 {
		p.last(&last)
	}
	if a := s.Accepted; a != nil {
		p.text(a.By)
		p.text(a.Why)
		p.int(a.At.UnixMicro())
	}
	if l := s.Live; l != nil {
		p.int(l.Users)
		p.int(l.Read)
		p.text(l.Counter)
		p.int(l.At.UnixMicro())
	}
	p.int(s.Number)
	if s.Submitted != nil {
		p.json(s.Submitted)
	}
	return binary.LittleEndian.AppendUint32(p.data, crc32.Checksum(p.data, castagnoli))
}

// flagsOf says what of a state is packed.
func flagsOf(s *segment.SegmentState, last *segment.Record) (flags int64) {
	for i, set := range [...]bool{
		*last != (segment.Record{}), s.Accepted != nil, s.Live != nil, last.Live, last.Overlapped, last.Settled,
		len(s.Candidates) > 0, len(s.Excuses) > 0, ran(&s.Runs), s.Submitted != nil,
	} {
		if set {
			flags |= 1 << i
		}
	}
	return flags
}

// ran reports whether there is anything to pack of a segment's runs.
func ran(r *segment.Runs) bool {
	return len(r.Times) > 0 || !r.Good.IsZero() || !r.Since.IsZero() || r.RunID != "" || r.Rejected+r.Unverified+r.Failed > 0
}

// withoutReport returns what is packed of the last record. Its segment is the row's.
func withoutReport(r segment.Record) segment.Record {
	r.Segment, r.Store, r.Report, r.Hold, r.Submitted = segment.ID{}, "", nil, segment.Hold{}, nil
	return r
}

type packer struct {
	data     []byte
	counters map[string]int64
	names    []string
}

func (p *packer) counter(name string) int64 {
	i, ok := p.counters[name]
	if !ok {
		i = int64(len(p.names))
		p.counters[name] = i
		p.names = append(p.names, name)
	}
	return i
}

func (p *packer) int(n int64) { p.data = binary.AppendVarint(p.data, n) }
func (p *packer) text(s string) {
	p.int(int64(len(s)))
	p.data = append(p.data, s...)
}

func (p *packer) sizes(sizes []validate.Size) {
	p.int(int64(len(sizes)))
	var users, at int64
	for i := range sizes {
		s := &sizes[i]
		micros, level := s.At.UnixMicro(), slices.Index(levels[:], s.Level)
		if level < 0 {
			level = len(levels)
		}
		mark := p.counter(s.Counter)<<markBits | int64(level)<<2
		if s.Unguarded {
			mark |= markUnguarded
		}
		if s.Vouched {
			mark |= markVouched
		}
		p.int(micros - at)
		p.int(s.Users - users)
		p.int(s.Read)
		p.int(mark)
		if level == len(levels) {
			p.text(string(s.Level))
		}
		users, at = s.Users, micros
	}
}

// A size's mark holds, from the lowest bit on, whether it is unguarded and vouched for,
// its level, and its counter. Before packed5 it held no level and was never vouched for.
const (
	markUnguarded = 1 << iota
	markVouched

	markBits = 5
)

// levels are those that a mark holds; after them comes any other, as text.
var levels = [...]validate.Level{
	validate.LevelUsual, validate.LevelOff, validate.LevelExcused, validate.LevelFormer, validate.LevelNew, validate.LevelFrozen, validate.LevelApart,
}

// json writes what few segments have, and what may gain fields as JSON.
func (p *packer) json(value any) {
	data, err := json.Marshal(value)
	if err != nil { // by a time that no ledger keeps
		data = []byte("null")
	}
	p.text(string(data))
}

func (p *packer) runs(r *segment.Runs) {
	p.text(r.RunID)
	p.time(r.Good)
	p.time(r.Since)
	for _, n := range [...]int{r.Rejected, r.Unverified, r.Failed, len(r.Times)} {
		p.int(int64(n))
	}
	var before int64
	for _, at := range r.Times {
		p.int(at.UnixMicro() - before)
		before = at.UnixMicro()
	}
}

// time writes a time that may be zero.
func (p *packer) time(t time.Time) {
	if t.IsZero() {
		p.int(0)
		return
	}
	p.int(1)
	p.int(t.UnixMicro())
}

func (p *packer) last(a *segment.Record) {
	for _, text := range [...]string{a.RunID, string(a.State), a.JobID, string(a.JobKind), a.Build, a.Counter} {
		p.text(text)
	}
	for _, n := range [...]int64{int64(a.Attempt), a.Users, a.Read, a.At.UnixMicro(), a.Number} {
		p.int(n)
	}
}

// unpack reads what pack wrote, to the byte, and nothing else: what it does not
// know, or what was damaged, must not pass for a segment without a history: that
// is packed, too.
func unpack(of segment.Key, data []byte) (segment.SegmentState, error) {
	s := segment.SegmentState{Segment: of.Segment, Store: of.Store}
	u := unpacker{data: data}
	version := u.byte()
	if u.err == nil && (version < packed1 || version > packed5) {
		return s, fmt.Errorf("packed in version %d, and this program knows versions %d to %d: a newer version of this library wrote it", version, packed1, packed5)
	}
	if version >= packed4 {
		if u.data, u.err = unseal(data); u.err != nil {
			return s, u.err
		}
	}
	flags := u.flags(version)
	if u.err == nil && !knownFlags(version, flags) {
		u.fail("unknown fields")
	}
	u.baseline(&s.Baseline, version, flags, u.counters(make([]string, 0, 1))) // made here it is none for the garbage collector
	if flags&withExcuses != 0 {
		s.Excuses = u.excuses()
	}
	if flags&withRuns != 0 {
		s.Runs = u.runs()
	}
	u.latest(&s, version, flags)
	if u.err == nil && u.at < len(u.data) {
		u.fail("unknown fields")
	}
	if u.err != nil {
		return segment.SegmentState{Segment: of.Segment, Store: of.Store}, u.err
	}
	return s, nil
}

// baseline reads sizes and candidates. Each counter is that of one of them.
func (u *unpacker) baseline(b *validate.Baseline, version byte, flags int64, counters []string) {
	known := int64(0)
	b.Sizes = u.sizes(version, counters, &known)
	if flags&withCandidates != 0 {
		if b.Candidates = u.sizes(version, counters, &known); b.Candidates == nil {
			u.fail("candidates of which there are none")
		}
	}
	if known < int64(len(counters)) {
		u.fail("counters that no size has")
	}
}

// latest reads what came last.
func (u *unpacker) latest(s *segment.SegmentState, version byte, flags int64) {
	if flags&withLast != 0 {
		s.Last = u.last(version, flags)
		s.Last.Segment, s.Last.Store = s.Segment, s.Store
	}
	if flags&withAccepted != 0 {
		s.Accepted = u.accepted(version)
	}
	if flags&withLive != 0 {
		s.Live = u.live()
	}
	if version >= packed3 {
		s.Number = u.int()
	}
	if flags&withSubmitted != 0 {
		s.Submitted = u.submitted()
	}
}

// flags reads which fields follow.
func (u *unpacker) flags(version byte) int64 {
	if version >= packed5 {
		return u.int()
	}
	return int64(u.byte())
}

func knownFlags(version byte, flags int64) bool {
	known := [...]int64{packed1: lastIsLive, packed2: lastOverlapped, packed3: lastSettled << 1, packed4: lastSettled << 1, packed5: withSubmitted << 1}[version]
	const ofLast = lastIsLive | lastOverlapped | lastSettled
	return flags >= 0 && flags < known && (flags&ofLast == 0 || flags&withLast != 0)
}

// An unpacker reads on as zeros after an error. It keeps an index and does not
// reslice data: storing a slice takes twice as long while garbage is collected.
type unpacker struct {
	data []byte
	at   int
	err  error
}

var errCut = errors.New("it ends too early")

func (u *unpacker) fail(what string) {
	if u.err == nil {
		u.err = errors.New(what)
	}
	u.at = len(u.data)
}

func (u *unpacker) byte() byte {
	if u.at == len(u.data) {
		u.err = errCut
		return 0
	}
	u.at++
	return u.data[u.at-1]
}

func (u *unpacker) int() int64 {
	if u.at < len(u.data) && u.data[u.at] < 0x80 { // most are that small
		u.at++
		return int64(u.data[u.at-1]>>1) ^ -int64(u.data[u.at-1]&1)
	}
	return u.long()
}

func (u *unpacker) long() int64 {
	var n uint64
	for i, shift := u.at, 0; i < len(u.data); i, shift = i+1, shift+7 {
		b := u.data[i]
		if shift == 63 && b > 1 {
			break // more than 64 bits
		}
		n |= uint64(b&0x7f) << shift
		if b >= 0x80 {
			continue
		}
		if b == 0 && i > u.at { // written longer than it is
			break
		}
		u.at = i + 1
		return int64(n>>1) ^ -int64(n&1)
	}
	u.fail("a number that cannot be")
	return 0
}

// count reads how many items follow, each of some bytes at least.
func (u *unpacker) count(bytes int) int {
	n := u.int()
	if n < 0 || n > int64((len(u.data)-u.at)/bytes) {
		u.fail("more items than bytes")
		return 0
	}
	return int(n)
}

func (u *unpacker) text() string {
	n := u.count(1)
	u.at += n
	return string(u.data[u.at-n : u.at])
}

// time reads a time in microseconds.
func (u *unpacker) time() time.Time { return time.UnixMicro(u.int()).UTC() }

// counters appends the names that sizes refer to.
func (u *unpacker) counters(counters []string) []string {
	for range u.count(1) {
		name := u.text()
		if slices.Contains(counters, name) {
			u.fail("a counter that is there twice")
		}
		counters = append(counters, name)
	}
	return counters
}

// sizes name the counters in their order, of which known were named before.
func (u *unpacker) sizes(version byte, counters []string, known *int64) []validate.Size {
	n := u.count(4)
	if n == 0 {
		return nil
	}
	sizes := make([]validate.Size, n)
	bits := markBits
	if version < packed5 {
		bits = 1
	}
	var users, at int64
	for i := range sizes {
		later := u.int()
		at += later
		users += u.int()
		read, mark := u.int(), u.int()
		counter := mark >> bits
		switch {
		case users < 0 || read < 0 || mark < 0 || counter > *known || counter >= int64(len(counters)):
			u.fail("a size that cannot be")
			return nil
		case later < 0 && i > 0:
			u.fail("sizes out of order")
			return nil
		}
		*known = max(*known, counter+1)
		s := &sizes[i]
		s.Users, s.Read, s.At, s.Unguarded = users, read, time.UnixMicro(at).UTC(), mark&markUnguarded != 0
		s.Counter = counters[counter]
		if bits == markBits && mark&(1<<markBits-1) > markUnguarded {
			s.Vouched, s.Level = mark&markVouched != 0, u.level(mark>>2&7)
		}
	}
	return sizes
}

// level reads what is not one of levels.
func (u *unpacker) level(i int64) validate.Level {
	if i < int64(len(levels)) {
		return levels[i]
	}
	level := validate.Level(u.text())
	if slices.Contains(levels[:], level) {
		u.fail("a level that is written longer than it is")
	}
	return level
}

// json reads into value what marshals to the same text again.
func (u *unpacker) json(value any) {
	text := u.text()
	err := json.Unmarshal([]byte(text), value)
	again, failed := json.Marshal(value)
	if err != nil || failed != nil || string(again) != text || text == "null" {
		u.fail("JSON that cannot be")
	}
}

// excuses and submitted have variables of their own, or each state would be one more
// for the garbage collector.
func (u *unpacker) excuses() []segment.Excuse {
	var excuses []segment.Excuse
	if u.json(&excuses); len(excuses) == 0 {
		u.fail("excuses of which there are none")
	}
	return excuses
}

func (u *unpacker) submitted() *segment.Submitted {
	var submitted *segment.Submitted
	u.json(&submitted)
	return submitted
}

func (u *unpacker) runs() (r segment.Runs) {
	r.RunID = u.text()
	r.Good, r.Since = u.maybe(), u.maybe()
	for _, n := range [...]*int{&r.Rejected, &r.Unverified, &r.Failed} {
		if *n = int(u.int()); *n < 0 {
			u.fail("fewer runs than none")
		}
	}
	if n := u.count(1); n > 0 {
		r.Times = make([]time.Time, n)
		var at int64
		for i := range r.Times {
			later := u.int()
			if at += later; later < 0 && i > 0 {
				u.fail("runs out of order")
			}
			r.Times[i] = time.UnixMicro(at).UTC()
		}
	}
	if u.err == nil && !ran(&r) {
		u.fail("runs of which there are none")
	}
	return r
}

// maybe reads a time that may be zero.
func (u *unpacker) maybe() time.Time {
	switch u.int() {
	case 0:
		return time.Time{}
	case 1:
		if at := u.time(); !at.IsZero() {
			return at
		}
	}
	u.fail("a time that cannot be")
	return time.Time{}
}

func (u *unpacker) last(version byte, flags int64) segment.Record {
	r := segment.Record{RunID: u.text(), State: segment.RunState(u.text()), JobID: u.text(), JobKind: segment.JobKind(u.text()), Build: u.text(), Counter: u.text()}
	attempt := u.int()
	r.Attempt, r.Users, r.Read, r.At, r.Live = int(attempt), u.int(), u.int(), u.time(), flags&lastIsLive != 0
	r.Overlapped, r.Settled = flags&lastOverlapped != 0, flags&lastSettled != 0
	if version >= packed3 {
		r.Number = u.int()
	}
	if r == (segment.Record{}) {
		u.fail("a last record of nothing")
	}
	if version == packed1 && r.State == "accepted" {
		r.State = segment.RunPassed
	}
	return r
}

func (u *unpacker) accepted(version byte) *segment.Decision {
	if version == packed1 {
		u.text() // the run, which is in the log
	}
	return &segment.Decision{By: u.text(), Why: u.text(), At: u.time()}
}

func (u *unpacker) live() *validate.Size {
	s := &validate.Size{Users: u.int(), Read: u.int(), Counter: u.text(), At: u.time()}
	if s.Users < 0 || s.Read < 0 {
		u.fail("a live size that cannot be")
	}
	return s
}
