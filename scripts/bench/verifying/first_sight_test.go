package verifying

import "testing"

// A token that nobody has seen before: what each costs with all its rules on, and the bare crypto in it.
func BenchmarkFirstSight(b *testing.B) {
	issuer := newIssuer(b)
	for _, alg := range algorithms {
		token := genuine(issuer, alg.key)
		for _, library := range libraries {
			verify := library.open(b, issuer)
			b.Run(alg.name+"/"+library.name, func(b *testing.B) { accept(b, verify, token) })
			if library.name != "signet" {
				continue
			}
			// Beside Signet, for it is what Signet is held against.
			bare := prepareBare(b, alg.key, token)
			b.Run(alg.name+"/bare", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if !bare() {
						b.Fatal("not verified")
					}
				}
			})
		}
	}
}

func accept(b *testing.B, verify check, token string) {
	if err := verify(b.Context(), token); err != nil { // whoever fetches with the first token has fetched
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}
