// Package clients knows who may ask the issuer for a token, how they prove who they are, and what each may ask for.
//
// A [Registry] holds it all, read from a file and checked as a whole:
//
//	registry, err := clients.ReadFile("registry.yaml", time.Now()) // err names every mistake with its line
//	client, err := registry.Client(ctx, "billing")
package clients
