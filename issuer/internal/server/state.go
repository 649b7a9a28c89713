package server

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/signet/keys"
)

// RegistryStatus is what is known of the registry.
type RegistryStatus struct {
	Clients int
	Loaded  time.Time // when it was taken over
	Trouble error     // why it is not what its file says; nil: it is
}

// stateCollector describes keys, registry and certificate, read anew at each scrape.
type stateCollector struct{ cfg Config }

var (
	buildDesc = prometheus.NewDesc("signet_build_info",
		"1, with the version of the issuer and of Go.", []string{"version", "goversion"}, nil)
	inFlightDesc = prometheus.NewDesc("signet_token_requests_in_flight",
		"Token requests that are worked on.", nil, nil)

	keysDesc = prometheus.NewDesc("signet_keys",
		"Signing keys by algorithm and state.", []string{"alg", "state"}, nil)
	lastRotationDesc = prometheus.NewDesc("signet_key_last_rotation_timestamp_seconds",
		"When the key that signs began to.", []string{"alg"}, nil)
	nextRotationDesc = prometheus.NewDesc("signet_key_next_rotation_timestamp_seconds",
		"When the standby begins to sign. Absent without a standby.", []string{"alg"}, nil)
	standbySafeDesc = prometheus.NewDesc("signet_key_standby_safe_seconds",
		"How long until every verifier has the standby; 0 when they do. Absent without a standby.", []string{"alg"}, nil)
	troubleDesc = prometheus.NewDesc("signet_keys_trouble",
		"1 when the keys cannot be used or kept as they stand; those from before are served.", nil, nil)

	databaseDesc = prometheus.NewDesc("signet_database_trouble",
		"1 when the database does not answer; clients in memory get tokens for a while, client assertions are refused.", nil, nil)

	clientsDesc = prometheus.NewDesc("signet_registry_clients",
		"Clients in memory, enabled or not: all of a registry file, those of a database that have asked.", nil, nil)
	loadedDesc = prometheus.NewDesc("signet_registry_loaded_timestamp_seconds",
		"When the registry that is served was read.", nil, nil)
	registryTroubleDesc = prometheus.NewDesc("signet_registry_trouble",
		"1 when the registry has a mistake, does not fit or cannot be followed; the one from before is served.", nil, nil)

	notAfterDesc = prometheus.NewDesc("signet_tls_certificate_not_after_timestamp_seconds",
		"When the TLS certificate expires. Absent without TLS.", nil, nil)
	tlsTroubleDesc = prometheus.NewDesc("signet_tls_trouble",
		"1 when the TLS files cannot be used; the certificate from before is served. Absent without TLS.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c stateCollector) Describe(descs chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, descs)
}

// scrapeTimeout is how long a scrape waits for the database.
const scrapeTimeout = time.Second

// gauges takes one value after another to whoever scrapes.
type gauges chan<- prometheus.Metric

func (g gauges) set(desc *prometheus.Desc, value float64, labels ...string) {
	g <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// Collect implements [prometheus.Collector].
func (c stateCollector) Collect(metrics chan<- prometheus.Metric) {
	g := gauges(metrics)
	g.set(buildDesc, 1, c.cfg.Version, runtime.Version())
	g.set(inFlightDesc, float64(len(c.cfg.InFlight)))
	c.collectKeys(g)
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	g.set(databaseDesc, flag(c.cfg.Database(ctx)))
	registry := c.cfg.Registry()
	g.set(clientsDesc, float64(registry.Clients))
	g.set(loadedDesc, seconds(registry.Loaded))
	g.set(registryTroubleDesc, flag(registry.Trouble))
	if certificate := c.cfg.Certificate; certificate != nil {
		g.set(notAfterDesc, seconds(certificate.NotAfter()))
		g.set(tlsTroubleDesc, flag(certificate.Trouble()))
	}
}

func (c stateCollector) collectKeys(g gauges) {
	for _, survey := range c.cfg.Survey() {
		alg := string(survey.Algorithm)
		for state, count := range countStates(survey) {
			g.set(keysDesc, float64(count), alg, string(state))
		}
		if active := survey.Active(); active != nil {
			g.set(lastRotationDesc, seconds(active.SignsFrom), alg)
		}
		if standby := survey.Standby(); standby != nil {
			g.set(nextRotationDesc, seconds(standby.SignsFrom), alg)
			g.set(standbySafeDesc, max(0, standby.SafeAt.Sub(c.cfg.Now()).Seconds()), alg)
		}
	}
	g.set(troubleDesc, flag(c.cfg.Trouble()))
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

func flag(trouble error) float64 {
	if trouble != nil {
		return 1
	}
	return 0
}
