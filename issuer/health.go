package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
)

func (p *parts) ready(stopping *atomic.Bool) error {
	if stopping.Load() {
		return server.ErrStopping
	}
	return p.checkSigners(p.registry.resources())
}

// health says how each part is.
func (p *parts) health(ctx context.Context) []server.Health {
	registry := p.registry.status()
	all := []server.Health{
		{Part: "keys", Trouble: p.keeper.Trouble(), Detail: p.signers()},
		{Part: "registry", Trouble: registry.Trouble, Detail: fmt.Sprintf("%d clients in memory", registry.Clients)},
		{Part: "database", Trouble: p.store.Check(ctx), Detail: p.store.String()},
	}
	if p.certificate != nil {
		all = append(all, server.Health{Part: "certificate", Trouble: p.certificate.Trouble(),
			Detail: "good until " + p.certificate.NotAfter().UTC().Format(time.RFC3339)})
	}
	return all
}

// signers says which keys sign.
func (p *parts) signers() string {
	var all []string
	for _, alg := range keys.Algorithms() {
		if key, err := p.keeper.Active(alg, time.Now()); err == nil {
			all = append(all, fmt.Sprintf("%s signs with %s", alg, key.ID()))
		}
	}
	return strings.Join(all, ", ")
}
