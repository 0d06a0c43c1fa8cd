package validate

// A snapshot is what a digest knows of its side at one moment.
type snapshot struct {
	users       int64
	fingerprint Fingerprint
	incomplete  string // why nothing can be judged by it
}
