package sdktest

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

var errRefused = errors.New("instrument refused")

// A refusing meter creates no histograms.
type refusing struct{ metric.MeterProvider }

func (r refusing) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return refusingMeter{r.MeterProvider.Meter(name, opts...)}
}

type refusingMeter struct{ metric.Meter }

func (m refusingMeter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	h, err := m.Meter.Float64Histogram(name, opts...)
	return h, errors.Join(err, errRefused)
}

func (m refusingMeter) Int64Histogram(name string, opts ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	h, err := m.Meter.Int64Histogram(name, opts...)
	return h, errors.Join(err, errRefused)
}
