package rerun_test

import (
	"errors"
)

var errDown = errors.New("connection refused")
