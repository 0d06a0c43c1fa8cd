package alertmanagertest_test

import (
	"testing"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.Main(m, map[string]func(*enginetest.Child) error{
		"storm":  stormChild,
		"killed": killedChild,
	})
}
