package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const (
	notAllowed     = "the resource is unknown or not allowed"
	notAbsolute    = "the resource is not an absolute URI without fragment"
	noDefaultThere = "the client has no default resource: name one"
)

func (c *checklist) resource(t *testing.T) {
	e := c.edge(t)
	for _, resource := range []string{api + "/", "https://API.example.com", "https://api.example.com:443", api + "?",
		"https://other.example.com", "urn:example:other", issuer} {
		t.Run("not to be had: "+resource, func(t *testing.T) {
			checkRefused(t, e.askAs(t, "resource", resource), 400, "invalid_target", notAllowed)
		})
	}
	for _, resource := range []string{
		"api.example.com", "/api", "//api.example.com", "?", "api", "https:", "https://", "https:///path", "1https://a",
		"%zz", "https://%zz",
		api + "#", api + "#part", api + " ", " " + api, api + "\n", api + "\x00", "https://api.exämple.com",
		`https://"`, "https://a\\b", "https://<a>",
		" ", "*", "null", "https://[::1", "https://a:b:c",
	} {
		t.Run(fmt.Sprintf("no absolute URI: %q", resource), func(t *testing.T) {
			checkRefused(t, e.askAs(t, "resource", resource), 400, "invalid_target", notAbsolute)
		})
	}
	t.Run("of another client", func(t *testing.T) {
		a := e.ask(t, form("resource", api), "Authorization", basic("one", secret))
		checkRefused(t, a, 400, "invalid_target", notAllowed)
	})
	t.Run("unknown and forbidden are one answer", func(t *testing.T) {
		sameOctets(t, e.ask(t, form("resource", "https://nobody.example.com"), "Authorization", basic("one", secret)),
			e.ask(t, form("resource", api), "Authorization", basic("one", secret)))
	})
	t.Run("two", func(t *testing.T) {
		for _, two := range [][]string{{api, plain}, {api, api}, {api, "nonsense"}} {
			f := form()
			f["resource"] = two
			a := e.ask(t, f, "Authorization", basic("billing", secret))
			checkRefused(t, a, 400, "invalid_target", "a token is for one resource")
		}
	})
	for _, resource := range []string{api, legacy, plain} {
		t.Run("granted "+resource, func(t *testing.T) {
			a := e.askAs(t, "resource", resource, "scope", map[string]string{legacy: "use"}[resource])
			if claims, _ := grantedToken(t, a); claims["aud"] != resource {
				t.Errorf("claims %v", claims)
			}
		})
	}
}

func (c *checklist) defaultResource(t *testing.T) {
	e := c.edge(t)
	for name, pairs := range map[string][]string{"absent": nil, "empty": {"resource", ""}} {
		for client, want := range map[string]string{"billing": api, "one": plain} {
			t.Run(name+" "+client, func(t *testing.T) {
				claims, _ := grantedToken(t, e.ask(t, form(pairs...), "Authorization", basic(client, secret)))
				if claims["aud"] != want {
					t.Errorf("claims %v", claims)
				}
			})
		}
		t.Run(name+" none", func(t *testing.T) {
			a := e.ask(t, form(pairs...), "Authorization", basic("undecided", secret))
			checkRefused(t, a, 400, "invalid_target", noDefaultThere)
		})
	}
	t.Run("aud is there under each way of authenticating", func(t *testing.T) {
		for _, a := range e.ways(t) {
			if claims, _ := grantedToken(t, a); claims["aud"] != api {
				t.Errorf("claims %v", claims)
			}
		}
	})
}

func (c *checklist) tokenHeader(t *testing.T) {
	e := c.edge(t)
	rows := []struct {
		name string
		form []string
		want map[string]any
	}{
		{"ES256", nil, map[string]any{"alg": "ES256", "kid": keystest.Key(keystest.ES256).ID(), "typ": "at+jwt"}},
		{"RS256 and typ JWT, where the resource wants them", []string{"resource", legacy, "scope", "use"},
			map[string]any{"alg": "RS256", "kid": keystest.Key(keystest.RS256).ID(), "typ": "JWT"}},
		{"not what the client asks for", []string{"alg", "none", "typ", "JWT", "token_type", "mac"},
			map[string]any{"alg": "ES256", "kid": keystest.Key(keystest.ES256).ID(), "typ": "at+jwt"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, header := grantedToken(t, e.askAs(t, row.form...))
			if diff := cmp.Diff(row.want, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a resource cannot want none", func(t *testing.T) {
		for _, alg := range []string{"none", "HS256", "RS512", "''"} {
			if _, err := registryOf(t, strings.Replace(checklistYAML, "algorithm: RS256", "algorithm: "+alg,
				1)); err == nil ||
				!strings.Contains(err.Error(), "algorithm") {
				t.Errorf("%s: error %v", alg, err)
			}
		}
	})
}

func (c *checklist) tokenClaims(t *testing.T) {
	e := c.edge(t)
	now := float64(e.clock.Now().Unix())
	rows := []struct {
		name   string
		answer answer
		want   map[string]any
	}{
		{"by secret", e.askAs(t), map[string]any{"sub": "billing", "client_id": "billing", "aud": api, "scope": "read",
			"exp": now + 600}},
		{"by assertion", e.askAssertion(t, forgeAssertion(e.claims().With("scope", `"admin"`).With("client_id",
			`"billing"`))),
			map[string]any{"sub": "robot", "client_id": "robot", "aud": api, "scope": "read", "exp": now + 600}},
		{"without scope", e.askAs(t, "resource", plain),
			map[string]any{"sub": "billing", "client_id": "billing", "aud": plain, "exp": now + 1}},
		{"not what the client asks for", e.askAs(t, "sub", "root", "iss", "https://evil.example", "exp", "9999999999",
			"aud", "x", "audience", "x"),
			map[string]any{"sub": "billing", "client_id": "billing", "aud": api, "scope": "read", "exp": now + 600}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, _ := grantedToken(t, row.answer)
			maps.Copy(row.want, map[string]any{"iss": issuer, "iat": now, "jti": got["jti"]})
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			if id, isText := got["jti"].(string); !isText || id == "" {
				t.Errorf("jti %v", got["jti"])
			}
		})
	}
}

// randomID is 26 digits of base32: 130 bits.
var randomID = regexp.MustCompile(`^[A-Z2-7]{26}$`)

func (c *checklist) tokenIDs(t *testing.T) {
	const count = 10_000
	ids := c.manyTokens(t, count)
	seen := make(map[string]bool, count)
	var digits [26]map[byte]bool
	for i := range digits {
		digits[i] = make(map[byte]bool)
	}
	for _, id := range ids {
		if !randomID.MatchString(id) || seen[id] {
			t.Fatalf("jti %q, seen before: %v", id, seen[id])
		}
		seen[id] = true
		for i := range digits {
			digits[i][id[i]] = true
		}
	}
	for i, found := range digits { // each of 32 digits everywhere: 5 bits that vary in each place
		if len(found) != 32 {
			t.Errorf("%d different digits in place %d", len(found), i)
		}
	}
	if len(seen) != count {
		t.Errorf("%d tokens", len(seen))
	}
}

// manyTokens returns the ids of so many tokens, asked for by a few callers at once.
func (c *checklist) manyTokens(t *testing.T, count int) []string {
	t.Helper()
	e := c.edge(t)
	auth := basic("billing", secret)
	const callers = 4
	connections := &http.Transport{MaxIdleConnsPerHost: callers}
	defer connections.CloseIdleConnections()
	set := keystest.Set(keystest.ES256)
	var ids [callers][]string
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for range count / callers {
				r := e.request(t, "POST", "/oauth2/token", form().Encode(), "Authorization", auth, "Content-Type",
					urlencoded)
				id, err := tokenID(set, connections, r)
				if err != nil {
					t.Error(err)
					return
				}
				ids[caller] = append(ids[caller], id)
			}
		})
	}
	running.Wait()
	if strings.Contains(e.log.String(), "eyJ") { // every token begins so
		t.Error("the log has a token")
	}
	return slices.Concat(ids[:]...)
}

// tokenID is the jti of the token that r obtains.
func tokenID(set *keys.Set, transport http.RoundTripper, r *http.Request) (string, error) {
	response, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &granted); err != nil {
		return "", fmt.Errorf("body %q: %w", body, err)
	}
	verified, err := set.Verify(granted.AccessToken)
	if err != nil {
		return "", err
	}
	var claims struct {
		ID string `json:"jti"`
	}
	return claims.ID, json.Unmarshal(verified.Payload, &claims)
}

func (c *checklist) tokenLifetime(t *testing.T) {
	e := c.edge(t)
	rows := []struct {
		resource, scope string
		want            time.Duration
	}{{plain, "", time.Second}, {api, "read", 10 * time.Minute}, {legacy, "use", time.Hour}}
	for _, step := range []time.Duration{0, 999_999_999 * time.Nanosecond, 12345 * time.Hour} {
		e.clock.Advance(step)
		for _, row := range rows {
			t.Run(fmt.Sprint(row.resource, " after ", step), func(t *testing.T) {
				a := e.askAs(t, "resource", row.resource, "scope", row.scope)
				claims, _ := grantedToken(t, a)
				exp, iat := claims["exp"].(float64), claims["iat"].(float64)
				if exp-iat != row.want.Seconds() || iat != float64(e.clock.Now().Unix()) {
					t.Errorf("claims %v", claims)
				}
				var got struct {
					ExpiresIn int64 `json:"expires_in"`
				}
				if err := json.Unmarshal([]byte(a.body), &got); err != nil {
					t.Fatal(err)
				}
				end := e.clock.Now().Add(time.Duration(got.ExpiresIn) * time.Second)
				if end.After(time.Unix(int64(exp), 0)) || end.Add(time.Second).Before(time.Unix(int64(exp), 0)) {
					t.Errorf("expires_in %d, exp %v", got.ExpiresIn, claims["exp"])
				}
			})
		}
	}
	for _, lifetime := range []string{"1h1s", "24h", "0s", "-1s", "500ms", "9999999h"} {
		t.Run("no resource may have "+lifetime, func(t *testing.T) {
			_, err := registryOf(t, strings.Replace(checklistYAML, "token_lifetime: 1h", "token_lifetime: "+lifetime,
				1))
			if err == nil || !strings.Contains(err.Error(), "lifetime") && !strings.Contains(err.Error(), "duration") {
				t.Errorf("error %v", err)
			}
		})
	}
	if clients.MaxLifetime != time.Hour {
		t.Errorf("longest lifetime %v", clients.MaxLifetime)
	}
}

func (c *checklist) clientIDs(t *testing.T) {
	e := c.edge(t)
	lookAlike := []string{
		"Billing", "BILLING", " billing", "billing ", "billing\x00", "billing\n", "billing\u200b", "\ufeffbilling",
		"b\u0456lling", "bi\u0142ling",
		"billing/", "billing%00", "../billing", "billing:", "billing,one", "bil ling", "ｂilling",
	}
	for _, id := range lookAlike {
		t.Run(fmt.Sprintf("not known: %q", id), func(t *testing.T) {
			checkRefused(t, e.ask(t, form("client_id", id, "client_secret", secret)), 401, "invalid_client", failed)
			checkRefused(t, e.ask(t, form(), "Authorization", basic(url.QueryEscape(id), secret)), 401,
				"invalid_client", failed)
		})
	}
	refused := append(lookAlike[2:10:10], "", "bill\ting", "https://issuer.example.com#x", "a:b", "-a", ".", "/a", "~",
		"@a", "a\"b", "a\\b", "a,b", "a b",
		"a%20b", "a+b", "é", strings.Repeat("a", 129), "urn:example:legacy", "acct:root", "root\u202e")
	for _, id := range refused {
		t.Run(fmt.Sprintf("not to be registered: %.20q", id), func(t *testing.T) {
			text, err := json.Marshal(id) // YAML reads it alike
			if err != nil {
				t.Fatal(err)
			}
			_, err = registryOf(t, strings.Replace(emptySecrets(checklistYAML), "id: one\n", "id: "+string(text)+"\n",
				1))
			if err == nil || !strings.Contains(err.Error(), "is no client id") {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("not to be registered twice", func(t *testing.T) {
		_, err := registryOf(t, strings.Replace(emptySecrets(checklistYAML), "id: one\n", "id: billing\n", 1))
		if err == nil || !strings.Contains(err.Error(), `client "billing" is there already`) {
			t.Errorf("error %v", err)
		}
	})
}

// emptySecrets fills in what stands for secrets, with digests of nothing that anyone knows.
func emptySecrets(yaml string) string {
	return strings.NewReplacer("SECRET", strings.Repeat("0", 64), "ODD", strings.Repeat("1", 64)).Replace(yaml)
}
