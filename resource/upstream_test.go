package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/signet/keys/keystest"
)

// setUpstream gives a transcript an application, APP; a second issuer, ISSUER2, with tokens of its own, TOKEN2 and, for
// the same subject as TOKEN, TWIN; and the keys of the first in the file jwks.json.
func setUpstream(env *testscript.Env) error {
	app := httptest.NewServer(http.HandlerFunc(tell))
	env.Defer(app.Close)
	env.Setenv("APP", app.URL)
	second := keystest.NewServer(keystest.Set(keystest.ES256Other))
	env.Defer(second.Close)
	env.Setenv("ISSUER2", second.Issuer())
	claims := keystest.AccessClaims(second.Issuer(), "http://127.0.0.1:9000", time.Now())
	env.Setenv("TWIN", keystest.AccessToken(keystest.ES256Other, claims))
	claims = claims.With("sub", `"shipping"`).Without("scope")
	env.Setenv("TOKEN2", keystest.AccessToken(keystest.ES256Other, claims))
	claims = keystest.AccessClaims(env.Getenv("ISSUER"), "http://127.0.0.1:9000", time.Now())
	tabbed := claims.With("scope", `"orders:read\torders:write"`)
	env.Setenv("TABBED", keystest.AccessToken(keystest.ES256, tabbed))     // with a scope that no header carries
	env.Setenv("MIXED", keystest.AccessToken(keystest.ES256Other, claims)) // of the first issuer, by the second's key
	document, err := keystest.Set(keystest.ES256).MarshalJSON()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "jwks.json"), document, 0o600)
}

// tell is an application that tells what it sees.
func tell(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "the application sees %s %s\n", r.Method, r.RequestURI)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(w, "> %s: %s\n", name, strings.Join(r.Header[name], "|"))
	}
	_, _ = io.Copy(w, r.Body)
}
