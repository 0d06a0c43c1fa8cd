package rerun

import "github.com/segmentguard/segmentguard/validate"

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
