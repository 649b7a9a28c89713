package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/signet/resource/verify"
)

// metrics counts what becomes of requests, tokens and fetches. Every label is bounded: the reasons of package verify,
// the configured issuers, the class of a status.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	accepted map[bool]prometheus.Counter // by whether the token was in the cache
	refused  *prometheus.CounterVec
	fetches  *prometheus.CounterVec
	keys     *prometheus.GaugeVec
	fetched  *prometheus.GaugeVec
}

// classes are the classes of a status.
var classes = []string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// durations are the bounds of the histogram, in seconds.
var durations = []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 30}

func newMetrics(issuers []string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "signet_resource_request_duration_seconds",
			Help:    "How long requests took, by class of status.",
			Buckets: durations,
		}, []string{"status"}),
		refused: counter("signet_tokens_refused_total", "Tokens refused, by the rule that they broke.", "reason"),
		fetches: counter("signet_jwks_fetches_total", "Fetches of an issuer's keys, by outcome.", "issuer", "outcome"),
		keys:    gauge("signet_jwks_keys", "Usable keys of an issuer."),
		fetched: gauge("signet_jwks_last_fetch_timestamp_seconds", "When an issuer's keys were last fetched, 0 for never."),
	}
	accepted := counter("signet_tokens_accepted_total", "Tokens accepted, by whether the cache had them.", "cached")
	m.accepted = make(map[bool]prometheus.Counter)
	for _, cached := range []bool{true, false} {
		m.accepted[cached] = accepted.WithLabelValues(strconv.FormatBool(cached))
	}
	for _, reason := range verify.Reasons() {
		m.refused.WithLabelValues(reason)
	}
	for _, class := range classes {
		m.requests.WithLabelValues(class)
	}
	for _, issuer := range issuers { // a series that is absent cannot be alerted on
		m.fetches.WithLabelValues(issuer, "ok")
		m.fetches.WithLabelValues(issuer, "failed")
		m.keys.WithLabelValues(issuer)
		m.fetched.WithLabelValues(issuer)
	}
	m.registry.MustRegister(m.requests, accepted, m.refused, m.fetches, m.keys, m.fetched,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector())
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"issuer"})
}

func (m *metrics) onVerify(outcome verify.Outcome) {
	if outcome.Err == nil {
		m.accepted[outcome.Cached].Inc()
		return
	}
	m.refused.WithLabelValues(verify.Reason(outcome.Err)).Inc()
}

func (m *metrics) onFetch(fetched verify.Fetched) {
	m.keys.WithLabelValues(fetched.Issuer).Set(float64(fetched.Keys))
	if fetched.Err != nil {
		m.fetches.WithLabelValues(fetched.Issuer, "failed").Inc()
		return
	}
	m.fetches.WithLabelValues(fetched.Issuer, "ok").Inc()
	m.fetched.WithLabelValues(fetched.Issuer).SetToCurrentTime()
}

func (m *metrics) onRequest(status int, took time.Duration) {
	class := min(max(status/100, 1), len(classes)) // an application may answer 999
	m.requests.WithLabelValues(classes[class-1]).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
