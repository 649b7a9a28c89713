package clients

import "example.com/signet/keys"

// The one client and the one resource of the development registry.
const (
	DevelopmentClient   = "demo"
	DevelopmentAudience = "http://127.0.0.1:9000"
)

// Development returns a registry for trying Signet out: one client that proves itself with key, and one resource. The
// client may ask for the scopes read and admin, and gets read when it asks for none.
func Development(key *keys.PublicKey) (*Registry, error) {
	set, err := keys.NewSet(key)
	if err != nil {
		return nil, err
	}
	scopes := Scope{"read", "admin"}
	resource := &Resource{
		Audience:  DevelopmentAudience,
		Enabled:   true,
		Scopes:    scopes,
		Algorithm: DefaultAlgorithm,
		Type:      DefaultType,
		Lifetime:  DefaultLifetime,
	}
	client := &Client{
		ID:      DevelopmentClient,
		Name:    "development client",
		Enabled: true,
		Keys:    set,
		Grants:  []Grant{{Audience: resource.Audience, Scopes: scopes, Default: Scope{"read"}}},
		Default: resource.Audience,
	}
	return &Registry{
		Resources: NewResources(map[string]*Resource{resource.Audience: resource}),
		clients:   map[string]*Client{client.ID: client},
	}, nil
}
