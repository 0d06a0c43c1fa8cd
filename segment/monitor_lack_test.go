package segment

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestContradicted: sweeps as "monitor number lacks/lists", the last one is asked.
func TestContradicted(t *testing.T) {
	for name, c := range map[string]struct {
		sweeps string
		want   bool
	}{
		"each lists what the other one lacks, in turn": {"X1 a/ Y1 b/a X2 a/b Y2 b/a X3 a/b", true},
		"with a third one beside":                      {"X1 a/ Z1 a/ Y1 b/a Z2 a/b X2 a/b Y2 b/a X3 a/b", true},
		"too soon":                                     {"X1 a/ Y1 b/a X2 a/b", false},
		"the other one may be gone":                    {"X1 a/ Y1 b/a X2 a/b X3 a/b", false},
		"nor did it sweep before":                      {"X1 a/ X2 a/ Y1 b/a X3 a/b", false},
		"one lists a part":                             {"X1 a/ Y1 b/ X2 a/b Y2 b/ X3 a/b", false},
		"the other one does":                           {"X1 a/ Y1 b/a X2 a/ Y2 b/a X3 a/", false},
		"it lacks others each time":                    {"X1 c/ Y1 b/a X2 a/b Y2 b/a X3 a/b", false},
		"the other one does so":                        {"X1 a/ Y1 b/a X2 a/b,c Y2 c/a X3 a/b,c", false},
		"it listed all in between":                     {"X1 a/ Y1 b/a X2 a/b Y2 b/a X4 a/b", false},
		"the other one did":                            {"X1 a/ Y1 b/a X2 a/b Y3 b/a X3 a/b", false},
		"one alone":                                    {"X1 a/b X2 b/a X3 a/b X4 b/a X5 a/b", false},
		"a new name each time":                         {"X1 a/ Y1 b/a Z1 a/b V1 b/a W1 a/b", false},
	} {
		var all []lack
		fields := strings.Fields(c.sweeps)
		for i := 0; i < len(fields); i += 2 {
			lacks, lists, _ := strings.Cut(fields[i+1], "/")
			all = append(all, lack{fields[i][:1], int64(fields[i][1] - '0'), strings.Split(lacks, ","), strings.Split(lists, ",")})
		}
		last := len(all) - 1
		here, there := all[last].contradicted(all[:last])
		require.Equal(t, c.want, here != "", name)
		require.Equal(t, c.want, there != "", name)
	}
}
