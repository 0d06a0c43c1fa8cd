package sdktest

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

var errRefused = errors.New("instrument refused")

// A refusing meter does not create the instrument of one name.
type refusing struct {
	metric.MeterProvider

	name string
}

func (r refusing) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return refusingMeter{r.MeterProvider.Meter(name, opts...), r.name}
}

type refusingMeter struct {
	metric.Meter

	name string
}

func (m refusingMeter) refused(name string, err error) error {
	if name == m.name {
		return errors.Join(err, errRefused)
	}
	return err
}

func (m refusingMeter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	i, err := m.Meter.Float64Histogram(name, opts...)
	return i, m.refused(name, err)
}

func (m refusingMeter) Int64Histogram(name string, opts ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	i, err := m.Meter.Int64Histogram(name, opts...)
	return i, m.refused(name, err)
}

func (m refusingMeter) Int64Counter(name string, opts ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	i, err := m.Meter.Int64Counter(name, opts...)
	return i, m.refused(name, err)
}

func (m refusingMeter) Int64Gauge(name string, opts ...metric.Int64GaugeOption) (metric.Int64Gauge, error) {
	i, err := m.Meter.Int64Gauge(name, opts...)
	return i, m.refused(name, err)
}

func (m refusingMeter) Float64Gauge(name string, opts ...metric.Float64GaugeOption) (metric.Float64Gauge, error) {
	i, err := m.Meter.Float64Gauge(name, opts...)
	return i, m.refused(name, err)
}
