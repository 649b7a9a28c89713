package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"example.com/signet/resource/bearer"
)

// identityOf returns every header by which the application could take the caller for somebody: all whose name begins
// like one of ours, whatever stands between its words.
func identityOf(h http.Header) []string {
	var all []string
	for name, values := range h {
		if plain := strings.Map(lettersOnly, strings.ToLower(name)); strings.HasPrefix(plain, "xauth") {
			all = append(all, name+"="+strings.Join(values, "|"))
		}
	}
	slices.Sort(all)
	return all
}

func lettersOnly(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r
	}
	return -1
}

var verified = []string{"X-Auth-Client-Id=app-7", "X-Auth-Issuer=https://a.example", "X-Auth-Scope=orders:read",
	"X-Auth-Subject=billing"}

// However a caller spells an identity of their own, the application sees the verified one and nothing else.
func TestForgedIdentityNeverArrives(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, lines string }{
		{"as it is spelled", "X-Auth-Subject: root\r\n"},
		{"lower case", "x-auth-subject: root\r\n"},
		{"upper case", "X-AUTH-SUBJECT: root\r\n"},
		{"underscores", "X_Auth_Subject: root\r\n"},
		{"lower case and underscores", "x_auth_client_id: root\r\n"},
		{"dots", "X.Auth.Scope: admin\r\n"},
		{"other punctuation", "X~Auth!Subject: root\r\n"},
		{"the issuer", "X-Auth-Issuer: https://b.example\r\n"},
		{"the issuer in lower case", "x-auth-issuer: https://b.example\r\n"},
		{"the issuer with underscores", "X_AUTH_ISSUER: https://b.example\r\nx_auth_issuer: https://a.example\r\n"},
		{"the issuer with dots", "X.Auth.Issuer: https://b.example\r\n"},
		{"the issuer twice", "X-Auth-Issuer: https://a.example\r\nX-Auth-Issuer: https://b.example\r\n"},
		{"the issuer, empty", "X-Auth-Issuer:\r\n"},
		{"the issuer removed and set", "Connection: close, X-Auth-Issuer\r\nX-Auth-Issuer: https://b.example\r\n"},
		{"all four", "X-Auth-Issuer: b\r\nX-Auth-Subject: root\r\nX-Auth-Client-Id: root\r\nX-Auth-Scope: admin\r\n"},
		{"several", "X-Auth-Subject: root\r\nX-Auth-Subject: toor\r\nx_auth_subject: root\r\n"},
		{"empty", "X-Auth-Subject:\r\n"},
		{"with commas", "X-Auth-Scope: admin, root\r\n"},
		{"the scope, the client", "X-Auth-Scope: admin\r\nX-Auth-Client-Id: root\r\n"},
		{"removed as hop by hop", "Connection: close, X-Auth-Subject, X-Auth-Client-Id, X-Auth-Scope\r\n"},
		{"removed in other letters", "Connection: close, x-auth-subject\r\nConnection: X_AUTH_SUBJECT\r\n"},
		{"removed and set", "Connection: close, X-Auth-Subject\r\nX-Auth-Subject: root\r\n"},
		{"removed by other means",
			"Keep-Alive: X-Auth-Subject\r\nTE: trailers, X-Auth-Subject\r\nProxy-Connection: X-Auth-Subject\r\n"},
		{"with an upgrade", "Connection: Upgrade, X-Auth-Subject\r\nUpgrade: websocket\r\nX_Auth_Subject: root\r\n"},
		{"folded into another header", "X-Note: a\r\n X-Auth-Subject: root\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{})
			got := s.raw(t, "GET / HTTP/1.1\r\nHost: h\r\nToken: good\r\nConnection: close\r\n"+row.lines+"\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 200") {
				t.Fatalf("answer %q", got)
			}
			r := app.only(t)
			if got := identityOf(r.Header); !slices.Equal(got, verified) {
				t.Errorf("the application sees %q", got)
			}
		})
	}
}

// Trailers are headers too for some servers.
func TestForgedIdentityInTrailers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, head, trailer string }{
		{"announced", "Trailer: X-Auth-Subject, X-Note\r\n", "X-Auth-Subject: root\r\nX-Note: n\r\n"},
		{"announced with underscores", "Trailer: X_Auth_Subject\r\n", "X_Auth_Subject: root\r\n"},
		{"not announced", "", "X-Auth-Subject: root\r\n"},
		{"the issuer", "Trailer: X-Auth-Issuer\r\n", "X-Auth-Issuer: https://b.example\r\n"},
		{"announced and kept back", "Trailer: X-Auth-Subject\r\n", ""},
		{"and taken from the headers",
			"Trailer: X-Auth-Subject\r\nConnection: X-Auth-Subject, Trailer\r\nTE: trailers\r\n",
			"X-Auth-Subject: root\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{})
			got := s.raw(t, "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nConnection: close\r\n"+
				"Transfer-Encoding: chunked\r\n"+row.head+"\r\n3\r\nabc\r\n0\r\n"+row.trailer+"\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 200") {
				t.Fatalf("answer %q", got)
			}
			r := app.only(t)
			if got := identityOf(r.Header); !slices.Equal(got, verified) || r.body != "abc" {
				t.Errorf("the application sees %q and %q", got, r.body)
			}
			if len(r.Trailer) != 0 {
				t.Errorf("trailers %v", r.Trailer)
			}
		})
	}
}

// Under names of the operator's choice the rules are the same, and the default names are nothing special.
func TestIdentityUnderOtherNames(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{headers: bearer.HeaderNames{Issuer: "Remote-Realm", Subject: "Remote-User"}})
	s.send(t, http.MethodGet, "/", nil, "REMOTE_USER", "root", "remote-user", "root", "Remote.Realm", "b",
		"X-Auth-Subject", "theirs").want(t, 200, "ok")
	seen := make(map[string][]string)
	for name, values := range app.only(t).Header {
		plain := strings.Map(lettersOnly, strings.ToLower(name))
		seen[plain] = append(seen[plain], values...)
	}
	for name, want := range map[string]string{
		"remoterealm": "https://a.example", "remoteuser": "billing", "xauthclientid": "app-7",
		"xauthscope": "orders:read", "xauthsubject": "theirs", "xauthissuer": "",
	} {
		if got := strings.Join(seen[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Each issuer has an alice of its own, and no claim of the caller's makes one of the other.
func TestIssuersAreToldApart(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"https://a.example", "https://b.example"} {
		app := newApplication(t, nil)
		s := newStage(t, app.addr(), options{claims: `{"iss":"` + issuer + `","sub":"alice","client_id":"alice"}`})
		s.send(t, http.MethodGet, "/", nil, "X-Auth-Issuer", "https://b.example", "x_auth_issuer", "https://a.example").
			want(t, 200, "ok")
		want := []string{"X-Auth-Client-Id=alice", "X-Auth-Issuer=" + issuer, "X-Auth-Scope=", "X-Auth-Subject=alice"}
		if got := identityOf(app.only(t).Header); !slices.Equal(got, want) {
			t.Errorf("the application sees %q, want %q", got, want)
		}
	}
}

// The application gets no credentials of its callers, and everything else.
func TestWhatElseArrives(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{})
	s.send(t, http.MethodGet, "/", nil,
		"Cookie", "session=1", "Accept", "text/plain", "Accept-Encoding", "br", "Origin", "https://a.example",
		"X-Note", "1", "X-Note", "2", "Proxy-Authorization", "Bearer good", "Range", "bytes=0-1",
		"If-None-Match", `"x"`, "User-Agent", "",
	).want(t, 200, "ok")
	r := app.only(t)
	for name, want := range map[string][]string{
		"Cookie": {"session=1"}, "Accept": {"text/plain"}, "Accept-Encoding": {"br"}, "Origin": {"https://a.example"},
		"X-Note": {"1", "2"}, "Range": {"bytes=0-1"}, "If-None-Match": {`"x"`},
		"Token": nil, "Authorization": nil, "Proxy-Authorization": nil, "User-Agent": nil,
	} {
		if got := r.Header[name]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAuthorizationNeverArrives(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{})
	got := s.raw(t, "GET / HTTP/1.1\r\nHost: h\r\naUTHORIZATION: bearer good\r\nConnection: close\r\n\r\n")
	if r := app.only(t); !strings.HasPrefix(got, "HTTP/1.1 200") || r.Header["Authorization"] != nil {
		t.Errorf("%q, %v", got, r.Header)
	}
}

// Where the request came from is said by us. What other proxies are used to saying in other headers passes.
func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{})
	s.send(t, http.MethodGet, "/", nil,
		"X-Forwarded-For", "10.0.0.1", "X-Forwarded-For", "10.0.0.2", "X-Forwarded-Host", "evil.example",
		"X-Forwarded-Proto", "https", "Forwarded", "for=10.0.0.1;host=evil.example", "X-Request-Id", "theirs",
		"X-Real-Ip", "10.0.0.1",
	).want(t, 200, "ok")
	r := app.only(t)
	for name, want := range map[string][]string{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {s.addr()}, "X-Forwarded-Proto": {"http"},
		"Forwarded": nil, "X-Request-Id": {"id-1"}, "X-Real-Ip": {"10.0.0.1"}, // which the application must not believe
	} {
		if got := r.Header[name]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Host != app.addr() {
		t.Errorf("Host %q", r.Host)
	}
}

// An identity that a header would change could be read as somebody else's.
func TestIdentityThatNoHeaderCarries(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, claims string }{
		{"line break", `{"iss":"i","sub":"a\r\nX-Auth-Scope: admin","client_id":"c"}`},
		{"beyond ASCII", `{"iss":"i","sub":"jörg","client_id":"c"}`},
		{"space around", `{"iss":"i","sub":"root ","client_id":"c"}`},
		{"tab", `{"iss":"i","sub":"a\tb","client_id":"c"}`},
		{"no subject", `{"iss":"i","client_id":"c"}`},
		{"empty subject", `{"iss":"i","sub":"","client_id":"c"}`},
		{"no client", `{"iss":"i","sub":"a"}`},
		{"client beyond ASCII", `{"iss":"i","sub":"a","client_id":"ç"}`},
		{"no issuer", `{"sub":"a","client_id":"c"}`},
		{"empty issuer", `{"iss":"","sub":"a","client_id":"c"}`},
		{"issuer with line break", `{"iss":"i\r\nX-Auth-Subject: root","sub":"a","client_id":"c"}`},
		{"issuer beyond ASCII", `{"iss":"https://ä.example","sub":"a","client_id":"c"}`},
		{"scope with line break", `{"iss":"i","sub":"a","client_id":"c","scope":"x\ny"}`},
		{"scope with tab", `{"iss":"i","sub":"a","client_id":"c","scope":"x\tadmin"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{claims: row.claims})
			a := s.send(t, http.MethodPost, "/", strings.NewReader("body"), "X-Auth-Subject", "root")
			a.want(t, 403, "no header can carry the token's identity\n")
			if !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("challenge %q", a.Header.Get("WWW-Authenticate"))
			}
			app.wantNothing(t)
		})
	}
}

// Without a guard in front there is nobody to be, and nothing is passed on.
func TestWithoutGuard(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Auth-Subject", "root")
	newProxy(t, app.addr(), options{}, new(buffer)).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
	app.wantNothing(t)
}

func TestWithoutToken(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{})
	for _, line := range []string{"", "Token: bad\r\n", "Token: good\r\nToken: good\r\n",
		"Token: good\r\nAuthorization: Bearer good\r\n"} {
		got := s.raw(t, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Auth-Subject: root\r\n"+line+"\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 40") {
			t.Errorf("%q: %q", line, got)
		}
	}
	app.wantNothing(t)
}
