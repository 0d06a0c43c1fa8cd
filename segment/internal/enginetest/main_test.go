package enginetest_test

import (
	"testing"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.Main(m, map[string]func(*enginetest.Child) error{
		"migrate": migrateChild,
		"record":  recordChild,
		"race":    raceChild,
		"guard":   guardChild,
		"load":    loadChild,
		"vanish":  vanishChild,
	})
}
