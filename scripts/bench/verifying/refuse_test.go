package verifying

import (
	"testing"

	"example.com/signet/keys/keystest"
)

// What anybody can send, most of it without a key. go-oidc fetches the JWK Set for every unknown kid and every wrong
// signature; the server that answers it, in this same process, is part of the figure.
func BenchmarkRefuse(b *testing.B) {
	issuer := newIssuer(b)
	checks := make([]check, len(libraries))
	for i, library := range libraries {
		checks[i] = library.open(b, issuer)
	}
	for _, row := range refusedTokens(issuer, keystest.ES256) {
		for i, library := range libraries {
			if library.accepts == row.name {
				continue
			}
			b.Run(row.name+"/"+library.name, func(b *testing.B) { refuse(b, checks[i], row.token) })
		}
	}
}

func refuse(b *testing.B, verify check, token string) {
	ctx := b.Context()
	if verify(ctx, token) == nil { // the one fetch for an unknown kid is over before the clock runs
		b.Fatal("accepted")
	}
	b.ReportAllocs()
	for b.Loop() {
		if verify(ctx, token) == nil {
			b.Fatal("accepted")
		}
	}
}
