package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/signet/keys"
)

// metricsHandler serves the issuer's metrics, read anew at each scrape.
func metricsHandler(cfg Config) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
		keyCollector{cfg})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// keyCollector describes the schedule of the signing keys. Its labels are bounded: algorithms and states.
type keyCollector struct{ cfg Config }

var (
	keysDesc = prometheus.NewDesc("signet_keys",
		"Signing keys by algorithm and state.", []string{"alg", "state"}, nil)
	lastRotationDesc = prometheus.NewDesc("signet_key_last_rotation_timestamp_seconds",
		"When the key that signs began to.", []string{"alg"}, nil)
	nextRotationDesc = prometheus.NewDesc("signet_key_next_rotation_timestamp_seconds",
		"When the standby begins to sign. Absent without a standby.", []string{"alg"}, nil)
	standbySafeDesc = prometheus.NewDesc("signet_key_standby_safe_seconds",
		"How long until every verifier has the standby; 0 when they do. Absent without a standby.", []string{"alg"}, nil)
	troubleDesc = prometheus.NewDesc("signet_keys_trouble",
		"1 when the key directory cannot be used or kept as it stands; the keys from before are served.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c keyCollector) Describe(descs chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, descs) }

// Collect implements [prometheus.Collector].
func (c keyCollector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, survey := range c.cfg.Survey() {
		alg := string(survey.Algorithm)
		for state, count := range countStates(survey) {
			gauge(keysDesc, float64(count), alg, string(state))
		}
		if active := survey.Active(); active != nil {
			gauge(lastRotationDesc, seconds(active.SignsFrom), alg)
		}
		if standby := survey.Standby(); standby != nil {
			gauge(nextRotationDesc, seconds(standby.SignsFrom), alg)
			gauge(standbySafeDesc, max(0, standby.SafeAt.Sub(c.cfg.Now()).Seconds()), alg)
		}
	}
	trouble := 0.0
	if c.cfg.Trouble() != nil {
		trouble = 1
	}
	gauge(troubleDesc, trouble)
}

// countStates counts every state, those without a key too: a series that vanishes cannot be alerted on.
func countStates(survey keys.Survey) map[keys.State]int {
	counts := map[keys.State]int{keys.Standby: 0, keys.Active: 0, keys.Retired: 0, keys.Due: 0}
	for _, key := range survey.Keys {
		counts[key.State]++
	}
	return counts
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
