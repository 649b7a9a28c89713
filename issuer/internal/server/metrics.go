package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
)

// metrics counts what the token endpoint does. Every label is bounded: algorithms, error codes, limits. All series are
// there from the start, for a series that is absent cannot be alerted on.
type metrics struct {
	registry *prometheus.Registry
	tokens   map[keys.Algorithm]prometheus.Counter
	errors   map[oauth.Code]prometheus.Counter
	limited  map[error]prometheus.Counter
	granted  prometheus.Observer
	failed   prometheus.Observer
}

// durations are the bounds of the histogram, in seconds: a token takes less than a millisecond, a fetch of a client's
// keys up to two seconds.
var durations = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

func newMetrics(cfg Config) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		tokens:   make(map[keys.Algorithm]prometheus.Counter),
		errors:   make(map[oauth.Code]prometheus.Counter),
		limited:  make(map[error]prometheus.Counter),
	}
	tokens := m.counter("signet_tokens_issued_total", "Tokens issued, by signing algorithm.", "alg")
	for _, alg := range keys.Algorithms() {
		m.tokens[alg] = tokens.WithLabelValues(string(alg))
	}
	failures := m.counter("signet_token_errors_total", "Token requests refused, by error code.", "error")
	for code := range statuses {
		m.errors[code] = failures.WithLabelValues(string(code))
	}
	limited := m.counter("signet_token_requests_limited_total", "Token requests refused by a limit.", "limit")
	for cause, name := range map[error]string{
		errAddressLimit: "address_rate", oauth.ErrLimited: "client_rate", errOverload: "in_flight",
	} {
		m.limited[cause] = limited.WithLabelValues(name)
	}
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "signet_token_request_duration_seconds",
		Help:    "How long token requests took, by outcome.",
		Buckets: durations,
	}, []string{"outcome"})
	m.granted, m.failed = took.WithLabelValues("issued"), took.WithLabelValues("refused")
	m.registry.MustRegister(took, stateCollector{cfg},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector())
	return m
}

func (m *metrics) counter(name, help, label string) *prometheus.CounterVec {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.registry.MustRegister(vector)
	return vector
}

func (m *metrics) issued(alg keys.Algorithm, took time.Duration) {
	m.tokens[alg].Inc()
	m.granted.Observe(took.Seconds())
}

func (m *metrics) refused(refused *refusal, took time.Duration) {
	m.errors[refused.Code].Inc()
	m.failed.Observe(took.Seconds())
	for cause, counter := range m.limited {
		if errors.Is(refused.Cause, cause) {
			counter.Inc()
		}
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
